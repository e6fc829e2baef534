//! What a filter's own work costs in the kernel's test run, less an accept-all program's, and what its toolkit adds to
//! that.

use std::time::Duration;

use weir_filters::{FilterName, Site, Toolkit, corpus};
use weir_hooks::KernelFilter;
use weir_wire::{Request, udp};

use super::{
    Bar, Figure,
    places::{self, Pairs},
};

/// Batches of each program, in turn.
pub(crate) const BATCHES: usize = 25;

/// Runs in a batch.
pub(crate) const RUNS: u32 = 200_000;

/// Payload of the packet that the client's behaviours call BAD 256.
const BAD_LEN: usize = 259;

/// `valid-command` on a valid and on an invalid packet.
pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let cost = |payload: &[u8]| {
        let pairs = || Pairs::load(&Site::socket(), &[Toolkit::Aya, Toolkit::Fun]);
        let repetitions = places::repeat(pairs, &packet(payload))?;
        let [aya, fun] = [Toolkit::Aya, Toolkit::Fun].map(|toolkit| places::of(toolkit, &repetitions));
        let fun_to_aya = fun.iter().zip(&aya).map(|(fun, aya)| fun / aya).collect();
        anyhow::Ok((aya, fun_to_aya))
    };
    let (put, put_to_aya) = cost(&put)?;
    let (bad, bad_to_aya) = cost(&bad())?;
    let ns = |name, values| Figure::new(name, "ns", values, Bar::AtMost(40.0));
    let ratio = |name, values| Figure::new(name, "", values, Bar::IntervalAtMost(1.1));
    Ok(vec![
        ns("valid-command on a PUT, test run less an accept-all program's", put),
        ns("valid-command on an invalid packet, the same", bad),
        ratio("valid-command on a PUT, ns over an accept-all program, fun ÷ aya", put_to_aya),
        ratio("  the same on an invalid packet", bad_to_aya),
    ])
}

/// The payload of an invalid packet.
pub(super) fn bad() -> Vec<u8> {
    [&b"BAD"[..], &[b'B'; BAD_LEN - 3]].concat()
}

/// The packet with that payload, from its UDP header on.
pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
    corpus::packet(udp::length_field(payload.len()), payload)
}

/// A filter, and the accept-all program of the same toolkit.
pub(crate) struct Pair {
    accept_all: KernelFilter,
    filter: KernelFilter,
}

impl Pair {
    /// Loads both.
    pub(crate) fn load(filter: FilterName, toolkit: Toolkit) -> anyhow::Result<Self> {
        let load = |name: FilterName| KernelFilter::load(name.into(), toolkit, &Site::socket());
        Ok(Self { accept_all: load(FilterName::Simple)?, filter: load(filter)? })
    }

    /// What a run of the filter takes longer, ns: the difference of the means of two batches, of which the kernel
    /// reports whole nanoseconds.
    pub(crate) fn difference(&self, packet: &[u8]) -> anyhow::Result<f64> {
        let [accept_all, filter] = self.times(packet)?.map(|time| time.as_nanos() as f64);
        Ok(filter - accept_all)
    }

    /// Mean times of a run in a batch of the accept-all program and then of the filter.
    pub(crate) fn times(&self, packet: &[u8]) -> anyhow::Result<[Duration; 2]> {
        Ok([self.accept_all.time(packet, 1, RUNS)?, self.filter.time(packet, 1, RUNS)?])
    }
}
