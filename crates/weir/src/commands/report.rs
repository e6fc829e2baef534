//! `weir report`.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use crate::{output::print, report};

/// Make a report from saved samples.
///
/// Reads the samples of a results folder and writes report.html, report.md, summary.json, tables/*.csv and
/// plots/*.{svg,png} into it. The same samples always give the same report.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  weir report results/latest")]
pub struct Args {
    /// The results folder that `weir experiment` made
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs `weir report`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let report = report::write_all(&args.dir)?;
    let text = report.to_terminal(!io::stdout().is_terminal());
    print(format!("{text}\nReport: {}\n", args.dir.join("report.html").display()))?;
    Ok(ExitCode::SUCCESS)
}
