//! How long a server takes from its start to its readiness.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::{Bar, Figure, Runner, loads};
use crate::experiment::{
    one_run::{Bench, RunError},
    schedule,
    server::Server,
    site::Site,
};

const STARTS: usize = 20;

/// Time that a server has to end when it is told to.
const END_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn measure(runner: &Runner<'_>) -> anyhow::Result<Vec<Figure>> {
    let definition = loads::definition(&loads::BATCH)?;
    let bench = runner.bench(&definition);
    let times = (0..STARTS).map(|_| start(&bench)).collect::<anyhow::Result<_>>()?;
    Ok(vec![Figure::new("start of weir serve to ready", "ms", times, Bar::AtMost(50.0))])
}

/// One start, in milliseconds, readiness socket and process included.
fn start(bench: &Bench<'_>) -> anyhow::Result<f64> {
    let Some(scheduled) = schedule::of(bench.definition, 1).into_iter().next() else {
        bail!("the definition has no cell");
    };
    let folder = tempfile::tempdir()?;
    let failed = |error| match error {
        RunError::Interrupted(interrupted) => anyhow::Error::from(interrupted),
        RunError::Failed(message) => anyhow::Error::msg(message),
    };
    let site = Site::open(bench, &scheduled.cell).map_err(failed)?;
    let started = Instant::now();
    let server = Server::start(bench, &site, &scheduled.cell, folder.path()).map_err(failed)?;
    let taken = started.elapsed();
    server.process.terminate();
    server.process.ends_by(Instant::now() + END_WITHIN);
    server.process.finish().map_err(anyhow::Error::msg)?;
    Ok(taken.as_secs_f64() * 1e3)
}
