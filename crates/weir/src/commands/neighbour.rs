//! `weir neighbour`: a busy neighbour of an experiment; not for use by hand.

use std::io;

use anyhow::Context as _;
use weir_lab::neighbour;

/// Keep a core busy until stdin ends, then say how many passes of work were done.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct NeighbourArgs {}

pub(crate) fn run(NeighbourArgs {}: NeighbourArgs) -> anyhow::Result<()> {
    neighbour::work(io::stdin(), io::stdout()).context("saying what was done")
}
