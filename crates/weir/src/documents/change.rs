//! How far a figure in a document is from what the results say.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::quote::{value_of, words};

/// A relative difference from which a figure without an interval changed much.
const MUCH: f64 = 0.1;

/// A figure that is another in the results than in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureChange {
    /// The document.
    pub document: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// What the marker asks for.
    pub query: String,
    /// What stands in the document.
    pub stands: String,
    /// What the results say.
    pub found: String,
    /// Whether the sentence around it may no longer be right: neither interval holds the other's median; a figure without
    /// one differs by a tenth or more; a word is another one.
    pub much: bool,
}

impl FigureChange {
    pub(super) fn new(document: &Path, line: usize, query: &str, stands: &str, found: &str) -> Self {
        let stands = words(stands).join(" ");
        let (document, query, found) = (document.to_owned(), query.to_owned(), found.to_owned());
        Self { document, line, much: is_much(&stands, &found), query, stands, found }
    }
}

impl fmt::Display for FigureChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, line, query, stands, found, .. } = self;
        write!(f, "{}:{line}: {stands} stands there, {found} in the results ({query})", document.display())
    }
}

fn is_much(stands: &str, found: &str) -> bool {
    match (ends(stands), ends(found)) {
        (Some(old), Some(new)) => {
            let holds = |ends: &Ends, value: f64| (ends.low..=ends.high).contains(&value);
            !holds(&old, new.median) && !holds(&new, old.median)
        }
        _ => match (value_of(stands), value_of(found)) {
            (Some(old), Some(new)) => (new - old).abs() > MUCH * old.abs(),
            _ => true,
        },
    }
}

struct Ends {
    median: f64,
    low: f64,
    high: f64,
}

fn ends(text: &str) -> Option<Ends> {
    let (median, ends) = text.split_once('[')?;
    let (low, high) = ends.strip_suffix(']')?.split_once(',')?;
    // An interval alone is as far as its middle.
    let [low, high] = [value_of(low)?, value_of(high)?];
    let median = value_of(median).unwrap_or(f64::midpoint(low, high));
    Some(Ends { median, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_large_where_neither_interval_holds_the_others_median() {
        for (stands, found, expected) in [
            ("0.50 [0.40, 0.60]", "0.52 [0.45, 0.61]", false),
            ("0.50 [0.40, 0.60]", "0.58 [0.57, 0.90]", false),
            ("0.50 [0.40, 0.60]", "0.92 [0.85, 0.99]", true),
            ("≥ 168 000 [137 000, 186 000]", "≥ 170 000 [150 000, 186 000]", false),
            ("−4.1 [−23.0, 0]", "−4.2 [−20.0, 0]", false),
            ("100", "105", false),
            ("100", "120", true),
            ("supported", "inconclusive", true),
        ] {
            assert_eq!(is_much(stands, found), expected, "{stands} {found}");
        }
    }
}
