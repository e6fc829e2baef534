//! `weir report`.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use crate::report;

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
    let mut out = io::stdout().lock();
    let text = report.to_terminal(!out.is_terminal());
    match writeln!(out, "{text}\nReport: {}", args.dir.join("report.html").display()) {
        // Whoever reads the pipe has read enough: the report itself is written.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        result => result.map(|()| ExitCode::SUCCESS).map_err(Into::into),
    }
}
