//! What a filter's own work costs in the kernel's test run, less an accept-all program's.

use std::time::Duration;

use weir_filters::{FilterName, Site, Toolkit, corpus};
use weir_hooks::KernelFilter;
use weir_wire::udp;

/// Batches of each program in a comparison, in turn.
pub const BATCHES: usize = 25;

/// Runs in a batch.
pub const RUNS: u32 = 200_000;

/// Payload of the packet that the client's behaviours call BAD 256.
const BAD_LEN: usize = 259;

/// The payload of an invalid packet.
pub fn bad() -> Vec<u8> {
    [&b"BAD"[..], &[b'B'; BAD_LEN - 3]].concat()
}

/// The packet with that payload, from its UDP header on.
pub fn packet(payload: &[u8]) -> Vec<u8> {
    corpus::packet(udp::length_field(payload.len()), payload)
}

/// A filter, and the accept-all program of the same toolkit.
pub struct Pair {
    accept_all: KernelFilter,
    filter: KernelFilter,
}

impl Pair {
    /// Loads both.
    pub fn load(filter: FilterName, toolkit: Toolkit) -> anyhow::Result<Self> {
        let load = |name: FilterName| KernelFilter::load(name.into(), toolkit, &Site::socket());
        Ok(Self { accept_all: load(FilterName::Simple)?, filter: load(filter)? })
    }

    /// What a run of the filter takes longer, ns: the difference of the means of two batches, of which the kernel
    /// reports whole nanoseconds.
    pub fn difference(&self, packet: &[u8]) -> anyhow::Result<f64> {
        let [accept_all, filter] = self.times(packet)?.map(|time| time.as_nanos() as f64);
        Ok(filter - accept_all)
    }

    /// Mean times of a run in a batch of the accept-all program and then of the filter.
    pub fn times(&self, packet: &[u8]) -> anyhow::Result<[Duration; 2]> {
        Ok([self.accept_all.time(packet, 1, RUNS)?, self.filter.time(packet, 1, RUNS)?])
    }
}
