//! `weir experiment`.

use std::process::ExitCode;

/// Run an experiment and report on it.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `weir experiment`.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
