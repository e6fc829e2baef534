//! Figures in documents: each stands between markers that say where it comes from, so that it can be held against the
//! kept results, and written anew after they were measured anew.
//!
//! A figure in Markdown is written as
//!
//! ```text
//! <!--=kernel-or-user quotients invalid_percent=99 server-cpu-->0.022 [0.018, 0.026]<!---->
//! ```
//!
//! The comments are invisible when rendered. The first names a results folder, a table of its report, the row by values in
//! its columns, and the column: [`Quote`].

mod allowed;
mod change;
mod intervals;
mod marker;
mod quote;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use weir_report::Report;

pub use allowed::Allowed;
pub use change::FigureChange;
use marker::Marker;

pub use quote::Quote;

/// Something in a document that isn't as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentProblem {
    /// The document.
    pub document: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// What it is, and what to do.
    pub what: String,
}

impl fmt::Display for DocumentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.document.display(), self.line, self.what)
    }
}

/// What a document comes to beside the results.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// The document as the results have it.
    pub text: String,
    /// The figures that are others than in the document.
    pub changes: Vec<FigureChange>,
    /// What has no answer: a marker that names nothing, a figure outside of any.
    pub problems: Vec<DocumentProblem>,
    /// How many figures are marked.
    pub marked: usize,
}

/// The kept results of a folder, each with its report, made when it is first asked for.
#[derive(Debug)]
pub struct Results {
    folder: PathBuf,
    reports: BTreeMap<String, Result<Report, String>>,
}

impl Results {
    /// Those below `folder`, each in a folder of its own.
    pub fn of(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), reports: BTreeMap::new() }
    }

    /// What stands where `quote` points to.
    ///
    /// # Errors
    /// There is no such folder, table, row, column or number.
    pub fn text_of(&mut self, quote: &Quote) -> Result<String, String> {
        let folder = self.folder.join(&quote.results);
        let read = || Report::read(&folder).map_err(|error| format!("{error:#}"));
        let report = self.reports.entry(quote.results.clone()).or_insert_with(read);
        let cell = report.as_ref().map_err(Clone::clone)?.cell(&quote.table, &quote.at, &quote.column)?;
        quote.part_of(&cell)
    }
}

/// Holds the document `text` at `path` against `results`, and, where a list of those that no results hold is given, asks
/// that every interval be marked or on it.
pub fn compare(path: &Path, text: &str, results: &mut Results, allowed: Option<&Allowed>) -> Compared {
    let mut compared = Compared::default();
    let problem = |at: usize, what: String| DocumentProblem {
        document: path.to_owned(),
        line: line_of(text, at),
        what,
    };
    let (markers, broken) = marker::all(text);
    compared.problems.extend(broken.into_iter().map(|(at, what)| problem(at, what)));
    let mut done = 0;
    for Marker { query, shown } in &markers {
        let found = query.parse::<Quote>().and_then(|quote| results.text_of(&quote));
        match found {
            Ok(found) => {
                let stands = &text[shown.clone()];
                if quote::words(stands) != quote::words(&found) {
                    compared.text += &text[done..shown.start];
                    compared.text += &found;
                    done = shown.end;
                    let line = line_of(text, shown.start);
                    compared.changes.push(FigureChange::new(path, line, query, stands, &found));
                }
            }
            Err(what) => compared.problems.push(problem(shown.start, format!("{query}: {what}"))),
        }
    }
    compared.text += &text[done..];
    compared.marked = markers.len();
    if let Some(allowed) = allowed {
        let bare = allowed.problems(path, text, &markers);
        compared.problems.extend(bare.into_iter().map(|(at, what)| problem(at, what)));
    }
    compared
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
