//! `weir client`.

use std::process::ExitCode;

/// Send a behaviour's packets to a bag server.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs `weir client`.
pub fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not here yet")
}
