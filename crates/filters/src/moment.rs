//! A moment of the clock that dynamic filters decide by.

use std::{ops::Add, time::Duration};

/// A moment of `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`, clock_gettime(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    ns: u64,
}

impl Moment {
    /// When the clock began.
    pub const ZERO: Self = Self { ns: 0 };

    /// That many nanoseconds after the clock began.
    pub const fn from_ns(ns: u64) -> Self {
        Self { ns }
    }

    /// Nanoseconds since the clock began.
    pub const fn ns(self) -> u64 {
        self.ns
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(earlier.ns))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self { ns: self.ns.saturating_add(u64::try_from(later.as_nanos()).unwrap_or(u64::MAX)) }
    }
}
