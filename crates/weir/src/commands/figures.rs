//! `weir figures`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use weir_output::{print, write_whole};

use crate::documents::{Allowed, DocumentProblem, FigureChange, Results, compare};

/// Hold the figures in documents against kept results, or write them anew.
///
/// A figure stands between two comments, which are invisible when rendered; the first says which cell of which table of a
/// report it is: the folder's name, the table's (its file below tables/), column=value for the row, and the column, such as
/// <!--=kernel-or-user quotients invalid_percent=99 server-cpu-->0.022 [0.018, 0.026]<!---->. Behind the column may stand
/// which part of it (median, low, high, interval, text), and ~3 for so many digits. The tables are made from the samples as
/// `weir report` makes them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  weir figures README.md docs/*.md         which aren't those of docs/results
  weir figures --fill README.md docs/*.md  write them anew, large ones first

Exit status: 0 all are the results', 1 some aren't, or can't be found; with --fill, some can't be found.")]
pub(crate) struct FiguresArgs {
    /// The documents, in Markdown
    #[arg(value_name = "FILE", required = true)]
    documents: Vec<PathBuf>,

    /// The folder that has the results folders which markers name
    #[arg(long, value_name = "DIR", default_value = "docs/results")]
    results: PathBuf,

    /// A list of intervals that other commands print (TOML): every other one must have a marker
    #[arg(long, value_name = "FILE")]
    printed: Option<PathBuf>,

    /// Write what the results say into the documents
    #[arg(long)]
    fill: bool,
}

pub(crate) fn run(args: FiguresArgs) -> anyhow::Result<ExitCode> {
    let allowed = args.printed.as_deref().map(list).transpose()?;
    let mut results = Results::of(&args.results);
    let (mut changes, mut problems, mut marked) = (Vec::new(), Vec::new(), 0);
    for path in &args.documents {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let compared = compare(path, &text, &mut results, allowed.as_ref());
        if args.fill && !compared.changes.is_empty() {
            write_whole(path, compared.text.as_bytes())?;
        }
        marked += compared.marked;
        changes.extend(compared.changes);
        problems.extend(compared.problems);
    }
    print(told(&changes, &problems, marked, args.fill))?;
    let is_well = problems.is_empty() && (args.fill || changes.is_empty());
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(path: &Path) -> anyhow::Result<Allowed> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Allowed::parse(&text).with_context(|| format!("reading {}", path.display()))
}

/// The large changes first, which may have made their sentences wrong.
fn told(changes: &[FigureChange], problems: &[DocumentProblem], marked: usize, fill: bool) -> String {
    let mut text = String::new();
    let (much, little): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.much);
    for (head, changes) in [("Changed much; read the sentence again", much), ("Changed", little)] {
        if !changes.is_empty() {
            text += &format!("{head}:\n");
            changes.iter().for_each(|change| text += &format!("  {change}\n"));
        }
    }
    if !problems.is_empty() {
        text += "To be mended by hand:\n";
        problems.iter().for_each(|problem| text += &format!("  {problem}\n"));
    }
    let what = if fill { "written anew" } else { "other than the results'" };
    text + &format!("{marked} figures marked, {} {what}, {} to be mended\n", changes.len(), problems.len())
}
