//! What the kernel and a program tell of the program's own runs.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// Packets that a filter accepted and dropped, over all CPUs, since it was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Packets accepted.
    pub accepted: u64,
    /// Packets dropped.
    pub dropped: u64,
}

/// Packets of which a guard's program decided alike, over all CPUs, since it was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionCount {
    /// Name of the decision, such as `accepted` or `no-message`.
    pub decision: String,
    /// The message that the packets were, where that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The limit that they were over, by its place in the guard, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Whether they were dropped; a guard that observes drops none.
    pub dropped: bool,
    /// How many there were.
    pub packets: u64,
}

impl fmt::Display for DecisionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decision, message, limit, dropped, packets } = self;
        let message = message.as_ref().map(|message| format!(" {message}")).unwrap_or_default();
        let limit = limit.map(|limit| format!(", limit {limit}")).unwrap_or_default();
        let fate = if *dropped { ", dropped" } else { "" };
        let packets = if *packets == 1 { "1 packet".to_owned() } else { format!("{packets} packets") };
        write!(f, "{decision}{message}{limit}: {packets}{fate}")
    }
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
