//! `weir report`.

use std::process::ExitCode;

/// Make a report from saved samples.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `weir report`.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
