//! A server that figures are taken of by other means than an experiment's runs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use weir_lab::experiment::{bench::Bench, read_summary, schedule, server::ReadyServer, site::RunSite};
use weir_service::ServerSummary;

/// Time that a server has to end when it is told to.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A server of the first cell of a definition, which is ready.
pub(super) struct ServedCell {
    pub(super) server: ReadyServer,
    /// From its start to its readiness, process and readiness socket included.
    pub(super) ready_in: Duration,
    folder: TempDir,
    _site: RunSite,
}

impl ServedCell {
    pub(super) fn start(bench: &Bench<'_>) -> anyhow::Result<Self> {
        let first = schedule::of(bench.definition, 1).into_iter().next();
        let scheduled = first.context("the definition has no cell")?;
        let folder = tempfile::tempdir()?;
        let site = RunSite::open(bench, &scheduled.cell)?;
        let started = Instant::now();
        let server = ReadyServer::start(bench, &site, &scheduled.cell, folder.path())?;
        Ok(Self { server, ready_in: started.elapsed(), folder, _site: site })
    }

    /// Ends it, unless it has ended, and takes its record.
    pub(super) fn end(self) -> anyhow::Result<ServerSummary> {
        let Self { server: ReadyServer { process, summary, .. }, folder: _folder, .. } = self;
        process.terminate();
        if !process.ends_by(Instant::now() + END_WITHIN) {
            bail!("{} did not end within {END_WITHIN:?}; {}", process.name(), process.last_words());
        }
        let name = process.name().to_owned();
        process.finish()?;
        Ok(read_summary(&name, &summary.expect("it is weir's own"))?)
    }
}
