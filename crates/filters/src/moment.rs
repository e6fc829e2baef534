//! A moment of the clock that dynamic filters decide by, and records tell time by.

use std::{ops::Add, time::Duration};

use serde::{Deserialize, Serialize};

/// A moment of `CLOCK_MONOTONIC`: the same clock for every process and program of a machine, so that moments of server and
/// client can be compared (`bpf_ktime_get_ns`, clock_gettime(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment {
    /// Nanoseconds since the clock began.
    pub ns: u64,
}

impl Moment {
    /// When the clock began.
    pub const ZERO: Self = Self { ns: 0 };

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
