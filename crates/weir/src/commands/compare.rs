//! `weir compare`.

use std::path::PathBuf;

use weir_output::print;
use weir_report::FolderComparison;

use super::is_plain;

/// Compare two results: did my change help?
///
/// Says in how many comparisons of the cells that both folders have, and of the capacities that both searched for, B
/// is better or worse, and shows those side by side: each figure's median with its interval, and the ratio B ÷ A with
/// that of independent samples. For a difference that drifts of the machine can't make, run both in one experiment
/// instead, where they lie side by side in time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  weir compare results/before results/after")]
pub(crate) struct CompareArgs {
    /// The results folder to compare with
    #[arg(value_name = "DIR_A")]
    before: PathBuf,

    /// The results folder that is compared
    #[arg(value_name = "DIR_B")]
    after: PathBuf,

    /// Print every comparison, not only those that show a difference
    #[arg(long)]
    all: bool,

    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: CompareArgs) -> anyhow::Result<()> {
    let comparison = FolderComparison::read(&args.before, &args.after)?;
    print(if args.json { comparison.to_json()? } else { comparison.to_terminal(is_plain(), args.all) })
}
