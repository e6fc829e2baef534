//! What a filter's own work costs: its run less an accept-all program's, in the kernel's test run.

use weir_filters::{Filter, FilterName, corpus};
use weir_hooks::KernelFilter;
use weir_wire::{Request, udp};

use super::{Bar, Figure};

/// Batches of each program, in turn.
const BATCHES: usize = 25;

/// Runs in a batch.
const RUNS: u32 = 200_000;

/// Payload of the packet that the client's behaviours call BAD 256.
const BAD_LEN: usize = 259;

/// `valid-command` on a valid and on an invalid packet.
pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let put = Request::Put { key: 10, value: 1 }.to_bytes();
    let bad = [&b"BAD"[..], &[b'B'; BAD_LEN - 3]].concat();
    Ok(vec![
        Figure::new(
            "valid-command on a PUT, test run less an accept-all program's",
            "ns",
            over_accept_all(&packet(&put))?,
            Bar::AtMost(40.0),
        ),
        Figure::new(
            "valid-command on an invalid packet, the same",
            "ns",
            over_accept_all(&packet(&bad))?,
            Bar::AtMost(40.0),
        ),
    ])
}

fn packet(payload: &[u8]) -> Vec<u8> {
    corpus::packet(udp::length_field(payload.len()), payload)
}

/// Differences of mean times of neighbouring batches, ns. The kernel reports whole nanoseconds.
fn over_accept_all(packet: &[u8]) -> anyhow::Result<Vec<f64>> {
    let accept_all = KernelFilter::load(Filter::from(FilterName::Simple))?;
    let filter = KernelFilter::load(Filter::from(FilterName::ValidCommand))?;
    let nanoseconds =
        |program: &KernelFilter| -> anyhow::Result<f64> { Ok(program.time(packet, RUNS)?.as_nanos() as f64) };
    (0..BATCHES).map(|_| Ok(nanoseconds(&filter)? - nanoseconds(&accept_all)?)).collect()
}
