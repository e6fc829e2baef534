//! The record that guards leave of services that ran already: what `weir guard run --summary FILE` writes, as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{DecisionCount, VerdictCounts};

/// What guards decided for the services of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardSummary {
    /// weir's version.
    pub version: String,
    /// Each service, in the order of the file.
    pub services: Vec<ServiceDecisions>,
}

/// What a guard's program decided for its service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDecisions {
    /// The service's name.
    pub service: String,
    /// `observe` or `enforce`.
    pub mode: String,
    /// Where the program was.
    pub hook: String,
    /// What it was attached to, one after the other.
    pub attached_to: Vec<String>,
    /// What came while it stood there, and was guarded a moment later.
    #[serde(default)]
    pub unguarded: Unguarded,
    /// What all decisions came to.
    pub verdicts: VerdictCounts,
    /// Only decisions that there were.
    pub decisions: Vec<DecisionCount>,
}

/// How long sockets, control groups and interfaces that came after the guard were unguarded, at most: at the socket and the control
/// group since they were looked for last, and at interfaces since the kernel said that they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unguarded {
    /// How often some came.
    pub times: u64,
    /// All of these times, microseconds.
    pub total_us: u64,
    /// The longest of them, microseconds.
    pub longest_us: u64,
}

impl Unguarded {
    /// Counts one more.
    pub fn add(&mut self, time: Duration) {
        // Rounded up: it is a bound.
        let us = u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        self.times += 1;
        self.total_us = self.total_us.saturating_add(us);
        self.longest_us = self.longest_us.max(us);
    }
}
