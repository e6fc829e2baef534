//! What the kernel and a program tell of the program's own runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Packets that a filter accepted and dropped, over all CPUs, since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Packets accepted.
    pub accepted: u64,
    /// Packets dropped.
    pub dropped: u64,
}

/// What a program did while statistics were on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRuns {
    /// How often it ran.
    pub count: u64,
    /// How long it ran in all, ns; the two clock reads of the measurement included (`run_time_ns`).
    pub time_ns: u64,
}

impl ProgramRuns {
    /// Mean of one run, or nothing where it never ran.
    pub fn mean(&self) -> Option<Duration> {
        self.time_ns.checked_div(self.count).map(Duration::from_nanos)
    }
}
