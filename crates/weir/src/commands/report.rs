//! `weir report`.

use std::path::PathBuf;

use weir_output::print;
use weir_report::Report;

use super::is_plain;

/// Make a report from saved samples.
///
/// Reads the samples of a results folder (samples.jsonl, or samples.jsonl.gz where it is kept packed) and writes report.html, report.md, summary.json, tables/*.csv and
/// plots/*.{svg,png} into it. The same samples always give the same report.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  weir report results/latest\n  weir report results/hooks --capacity results/capacity"
)]
pub(crate) struct ReportArgs {
    /// The results folder that `weir experiment` made
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// A results folder of `weir capacity`, whose capacities are shown beside the same hooks in the report of `hooks`
    #[arg(long, value_name = "DIR")]
    capacity: Option<PathBuf>,
}

pub(crate) fn run(args: ReportArgs) -> anyhow::Result<()> {
    let report = match &args.capacity {
        Some(capacity) => Report::read_beside(&args.dir, capacity)?,
        None => Report::read(&args.dir)?,
    };
    report.write(&args.dir)?;
    let text = report.to_terminal(is_plain());
    print(format!("{text}\nReport: {}\n", args.dir.join("report.html").display()))
}
