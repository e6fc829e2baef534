//! An open-loop schedule: when each packet is due, whatever happened to those before it.

use std::{
    fmt,
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

/// A rate, in packets a second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct PacketsPerSecond(f64);

impl PacketsPerSecond {
    /// The slowest rate: one packet in 1000 s.
    pub const MIN: Self = Self(0.001);

    /// `rate` packets a second, or nothing below [`Self::MIN`] or where it is no number.
    pub fn new(rate: f64) -> Option<Self> {
        (rate.is_finite() && rate >= Self::MIN.0).then_some(Self(rate))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for PacketsPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} packets/s", self.0)
    }
}

impl FromStr for PacketsPerSecond {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().ok().and_then(Self::new).ok_or_else(|| {
            format!("'{text}' is no rate; it takes packets per second, {} or more", Self::MIN.0)
        })
    }
}

/// Packet `i` is due at start + i ÷ rate. A packet that is late goes out at once and moves no later one, so that
/// a slow sender shows as achieved below offered and never as a schedule that gave way.
pub(super) struct Schedule {
    start: Instant,
    rate: PacketsPerSecond,
    next: u64,
}

/// A sleep ends late by the timer's slack, 50 µs unless set otherwise (prctl(2), PR_SET_TIMERSLACK), and by the
/// time of a wake-up. The last stretch before a packet is due is therefore spun.
const SPIN: Duration = Duration::from_micros(200);

impl Schedule {
    pub(super) fn new(rate: PacketsPerSecond) -> Self {
        Self { start: Instant::now(), rate, next: 0 }
    }

    /// Returns when the next packet is due.
    pub(super) fn wait(&mut self) {
        let due = self.start + self.offset(self.next);
        self.next += 1;
        loop {
            let ahead = due.saturating_duration_since(Instant::now());
            if ahead.is_zero() {
                return;
            }
            if ahead > SPIN {
                thread::sleep(ahead - SPIN);
            } else {
                // A server on the same core must not wait for a spinning client.
                thread::yield_now();
            }
        }
    }

    fn offset(&self, packet: u64) -> Duration {
        Duration::from_secs_f64(packet as f64 / self.rate.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_due_at_even_intervals_without_drift() {
        let schedule = Schedule::new(PacketsPerSecond::new(1000.0).unwrap());
        assert_eq!(schedule.offset(0), Duration::ZERO);
        assert_eq!(schedule.offset(1), Duration::from_millis(1));
        assert_eq!(schedule.offset(3_600_000), Duration::from_secs(3600));
    }

    #[test]
    fn no_packet_leaves_before_it_is_due() {
        let mut schedule = Schedule::new(PacketsPerSecond::new(10_000.0).unwrap());
        for packet in 0..20 {
            schedule.wait();
            assert!(schedule.start.elapsed() >= schedule.offset(packet), "packet {packet}");
        }
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        for text in ["0", "-1", "nan", "inf", "fast", ""] {
            assert!(text.parse::<PacketsPerSecond>().is_err(), "{text}");
        }
        assert_eq!("2.5e3".parse(), Ok(PacketsPerSecond(2500.0)));
    }
}
