//! What an experiment is likely to take, before it is begun: time and disk.

use std::time::Duration;

use weir_service::Io;

use super::{definition::Definition, schedule::Scheduled};

/// Time of a run besides sending: two processes that start, are waited for and end. The kept results of docs/results have
/// 0.09 to 0.12 s.
const A_RUN: Duration = Duration::from_millis(110);

/// Time of a packet on its way out and in, one a send, and of several by UDP GSO. The kept results have 3 to 4 µs.
const A_PACKET: Duration = Duration::from_nanos(3500);
const A_PACKET_OF_SEVERAL: Duration = Duration::from_nanos(1000);

/// Size of a sample's line, bytes, and of what each client adds to it: the kept results have 3 000 with one client and
/// 10 500 with ten.
const A_SAMPLE: u64 = 2200;
const A_CLIENT: u64 = 850;

/// Time for all `runs` of `definition`: within a factor of two on a machine of the same kind.
pub fn time(definition: &Definition, runs: &[Scheduled]) -> Duration {
    let a_packet = match definition.client_io {
        Io::Simple => A_PACKET,
        Io::Batch => A_PACKET_OF_SEVERAL,
    };
    let sending = |run: &Scheduled| match run.cell.conditions.rate {
        Some(rate) => Duration::from_secs_f64(run.cell.packets as f64 / rate as f64),
        None => Duration::from_secs_f64(run.cell.packets as f64 * a_packet.as_secs_f64()),
    };
    runs.iter().map(|run| A_RUN + sending(run)).sum()
}

/// Bytes of the samples of `runs`.
pub fn bytes(runs: &[Scheduled]) -> u64 {
    runs.iter().map(|run| A_SAMPLE + A_CLIENT * u64::from(run.cell.clients)).sum()
}
