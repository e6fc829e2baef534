//! Requests lost of bursts that come after idleness, and by two workers.

use std::num::NonZeroU32;

use anyhow::Context as _;
use weir_service::{
    Io, ServerSummary,
    client::{self, Behaviour, ClientConfig, Fan, Pacing, PacketsPerSecond, Percent, Workload},
};

use super::compare;
use crate::promises::{Bound, PromisedFigure, Runner};

/// Datagrams that come at once: of one GSO send, and of three.
const BURSTS: [u32; 3] = [64, 100, 150];

/// Bursts of each length in a run, and how many a second.
const OF_EACH: u64 = 20;
const A_SECOND: f64 = 50.0;

/// What two workers get, of eight sockets.
const WORKERS: [&str; 2] = ["--workers", "2"];
const SOCKETS: u32 = 8;
const RATE: f64 = 60_000.0;
const PACKETS: u64 = 60_000;
const GETS: Percent = Percent::new(10).expect("it is below 100");

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let bursts = compare(runs, runner, "bursts after idleness", &[], |served, _| {
        let mut sent = 0;
        for burst in BURSTS {
            let count = NonZeroU32::new(burst).context("no burst is empty")?;
            let rate = PacketsPerSecond::new(A_SECOND * f64::from(burst));
            let config = ClientConfig {
                pacing: rate.map(|rate| Pacing { burst: count, ..Pacing::new(rate) }),
                ..ClientConfig::new(served.server.address)
            };
            sent += send(&Workload { packets: OF_EACH * u64::from(burst), ..Workload::default() }, &config)?;
        }
        Ok(lost(sent, &served.end()?))
    })?;
    let workers = compare(runs, runner, "two workers", &WORKERS, |served, runner| {
        let sockets = NonZeroU32::new(SOCKETS).context("it is 8")?;
        let config = ClientConfig {
            io: Io::Simple,
            pacing: PacketsPerSecond::new(RATE).map(Pacing::new),
            fan: Fan::new(sockets, NonZeroU32::MIN).context("8 sockets of one thread")?,
            pin: runner.pinning.clients.clone(),
            ..ClientConfig::new(served.server.address)
        };
        let workload = Workload { packets: PACKETS, get_share: GETS, ..Workload::default() };
        let sent = send(&workload, &config)?;
        Ok(lost(sent, &served.end()?))
    })?;
    Ok([("GSO bursts of 64 to 150 after idleness", bursts), ("60 000 requests/s to two workers", workers)]
        .into_iter()
        .flat_map(|(what, lost)| {
            let less = lost.iter().map(|[off, auto]| auto - off).collect();
            let off = lost.iter().map(|[off, _]| *off).collect();
            figures! {
                format!("requests lost of {what}, moderated less off"), "": less => Bound::NotShownAbove(0.0);
                "  off", "": off;
            }
        })
        .collect())
}

/// Requests that a load sent, those that made keys ready among them.
fn send(workload: &Workload, config: &ClientConfig) -> anyhow::Result<u64> {
    let behaviour: &Behaviour = "load".parse().map_err(anyhow::Error::msg)?;
    let summary = client::run(behaviour.name, &behaviour.steps(workload), config, &mut |_| ())?;
    Ok(summary.sent.total())
}

/// How many of them the server didn't see; what still waited when it ended it would have.
fn lost(sent: u64, server: &ServerSummary) -> f64 {
    let seen = server.served.requests.total() + server.served.unread;
    sent as f64 - seen as f64
}
