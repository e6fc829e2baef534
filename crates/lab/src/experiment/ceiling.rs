//! The generator's ceiling: how fast the clients of an experiment could send to anybody.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use weir_results::stats::Estimate;
use weir_service::client::{
    self, Behaviour, ClientConfig, Fan, InvalidSize, Load, Percent, Sink, Step, Workload,
};

use super::{definition::Definition, machine::Pinning};

/// Measurements of the ceiling; the median of them counts.
const TIMES: usize = 5;
/// Time of each.
const EACH: Duration = Duration::from_millis(100);
/// From which share of the ceiling on a rate is limited by the generator.
const NEAR: f64 = 0.9;

/// How fast the clients could send over loopback, as an experiment began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// Packets per second, all clients together: the median measurement.
    pub packets_per_s: f64,
    /// The slowest measurement.
    pub lowest: f64,
    /// The fastest.
    pub highest: f64,
}

impl Ceiling {
    /// Measures it, on the clients' core, towards a socket that nobody reads: the most that they can offer anybody. A
    /// server, its filter and its wake-ups only make it less.
    ///
    /// # Errors
    /// The loopback interface is down.
    pub fn measure(definition: &Definition, pinning: &Pinning) -> anyhow::Result<Self> {
        let sink = Sink::open((Ipv4Addr::LOCALHOST, 0).into()).context("opening a sink for the ceiling")?;
        let threads = definition.clients.min(pinning.clients.len().max(1) as u32);
        let threads = threads.try_into().expect("it is at least one");
        let config = ClientConfig {
            io: definition.client_io,
            fan: Fan::new(threads, threads).expect("a socket for each thread"),
            pin: pinning.clients.clone(),
            ..ClientConfig::new(sink.addr())
        };
        let load = load(definition).context("measuring the ceiling: the behaviour load sends nothing")?;
        let once =
            || client::ceiling(&load, &config, EACH).map(|summary| summary.achieved_rate.unwrap_or(0.0));
        let rates =
            (0..TIMES).map(|_| once()).collect::<Result<Vec<_>, _>>().context("measuring the ceiling")?;
        let estimate = Estimate::of(&rates).context("measuring the ceiling")?;
        Ok(Self { packets_per_s: estimate.median, lowest: estimate.low, highest: estimate.high })
    }

    /// Whether a rate is so near that what is lost there may be the generator's doing.
    pub fn limits(&self, rate: u64) -> bool {
        rate as f64 >= NEAR * self.packets_per_s
    }
}

/// The load of the grid's cells that are the hardest to send: the most and the largest invalid packets.
fn load(definition: &Definition) -> Option<Load> {
    let size = definition.grid.invalid_size.iter().copied().max();
    let workload = Workload {
        packets: u64::MAX,
        duration: None,
        mix: None,
        invalid_share: definition.grid.invalid_percent.iter().copied().max().and_then(Percent::new)?,
        invalid_size: size.and_then(|bytes| InvalidSize::new(bytes as usize)),
        get_share: Percent::default(),
    };
    let behaviour: &Behaviour = "load".parse().ok()?;
    behaviour.steps(&workload).into_iter().find_map(|step| match step {
        Step::Load(load) => Some(load),
        _ => None,
    })
}
