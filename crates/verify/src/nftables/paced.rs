//! A limit of a ruleset in time.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use weir_guard::{
    meaning::{Memory, Service},
    nft,
};

use super::{
    ServiceDatagram, counters, in_namespace,
    network::{self, Network},
};

/// How many datagrams came through a limit.
#[derive(Clone, Copy, Debug)]
pub struct ComparedPace {
    /// Datagrams that were sent.
    pub sent: u64,
    /// Those that nft accepted.
    pub accepted: u64,
    /// Those that the interpreter accepts, each at the moment before it was sent.
    pub expected: u64,
    /// By how many the two may differ.
    pub tolerance: u64,
}

impl ComparedPace {
    /// Whether nft lets through as many as the interpreter, by the tolerance.
    pub fn agrees(&self) -> bool {
        self.accepted.abs_diff(self.expected) <= self.tolerance
    }
}

/// Sends a datagram again and again for a while to a service that has one limit, and compares how many come through.
///
/// The kernel judges a datagram at a moment between the one before it was sent and the one after. As long as no bucket
/// overflows, the number that came through until any moment differs by at most the tokens of the longest such time. nft rounds the
/// time of a token down to a nanosecond, the interpreter up: that is a nanosecond more for each that was accepted. Where a pause
/// was longer than a token takes the bucket may have overflowed, and the difference may come about once more. So the tolerance is
/// `(1 + pauses) × ⌈(longest send + 1 ns × accepted) ÷ interval⌉`: on a machine that isn't busy, 1.
///
/// # Errors
/// The service has not one limit, or doesn't accept the datagram; as [`super::compare`].
pub fn paced(service: &Service, datagram: ServiceDatagram, time: Duration) -> anyhow::Result<ComparedPace> {
    /// Between two datagrams.
    const PAUSE: Duration = Duration::from_micros(200);
    let service = in_namespace(service);
    let [limit] = &service.limits[..] else {
        anyhow::bail!("the service has {} limits; one is compared in time", service.limits.len());
    };
    let interval = Duration::from_nanos(limit.rate.interval.get());
    let ruleset = network::ruleset(&service)?;
    weir_hooks::in_own_network(move || {
        let network = Network::of(&service)?;
        counters::load(&ruleset)?;
        let mut memory = Memory::default();
        let mut pace = ComparedPace { sent: 0, accepted: 0, expected: 0, tolerance: 0 };
        let (mut longest, mut pauses, mut last) = (Duration::ZERO, 0, None);
        let begin = Instant::now();
        let mut accepts = None;
        while begin.elapsed() < time {
            let before = begin.elapsed();
            ensure!(network.send(&datagram)?, "the datagram can't be sent");
            let after = begin.elapsed();
            longest = longest.max(after - before);
            pauses += u64::from(last.is_some_and(|last| after.saturating_sub(last) > interval));
            last = Some(before);
            pace.sent += 1;
            let decision = service.decide(&datagram.packet(), &mut memory, before.as_nanos() as u64);
            if decision.is_accepted() {
                pace.expected += 1;
                accepts = Some(nft::comment(&service, decision));
            }
            std::thread::sleep(PAUSE);
        }
        let counted = network.counted(&service, pace.sent)?;
        let accepts = accepts.context("the service doesn't accept the datagram")?;
        pace.accepted = counted.get(&accepts).copied().unwrap_or_default();
        let error = longest + Duration::from_nanos(pace.accepted);
        pace.tolerance = (1 + pauses) * error.as_nanos().div_ceil(interval.as_nanos()) as u64;
        Ok(pace)
    })
    .context("making a network namespace; it needs root")?
}
