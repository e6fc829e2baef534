//! What guards say of services that ran already: at their end, as `weir guard run --summary FILE` writes it, and while they run.

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

/// What a `weir guard run` says while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardStatus {
    /// weir's version.
    pub version: String,
    /// The guard's file.
    pub file: String,
    /// The id of its process.
    pub process: u32,
    /// When it was started, milliseconds since 1970.
    pub since_ms: u64,
    /// Each service, in the order of the file.
    pub services: Vec<ServiceStatus>,
}

/// A service that is guarded, or waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The service's name.
    pub service: String,
    /// What it listens to, such as `udp/53`.
    pub listen: String,
    /// `observe` or `enforce`.
    pub mode: String,
    /// Where the program is.
    pub hook: String,
    /// Why it is there, where the guard leaves that open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the program is attached to; nothing where the service is waited for.
    pub places: Vec<AttachedPlace>,
    /// What was last said of it.
    pub said: String,
    /// Why its decisions can't be told, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was commanded besides what the guard says, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commanded: Vec<String>,
    /// What became of samples of dropped packets, where the guard wants them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleStatus>,
    /// Every decision that there is, also those that were never made; and those of rules that hold no more.
    pub decisions: Vec<DecisionStatus>,
}

/// What a program is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedPlace {
    /// An interface, a control group or a socket.
    pub place: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}

/// What became of samples, which are some of the packets that a guard drops, or would drop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleStatus {
    /// The capture that they go to.
    pub file: String,
    /// Those that are in it, or were in one before it.
    pub written: u64,
    /// Those that could not be written.
    pub unwritten: u64,
    /// Those that found the kernel's buffer full.
    pub lost: u64,
}

/// A decision of a running guard, and how often it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionStatus {
    /// Its name, such as `accepted` or `no-message`.
    pub decision: String,
    /// The message that the packets were, where that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The limit that they were over, by its place in the guard, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The rule that decided, in words.
    pub rule: String,
    /// What becomes of such packets.
    pub verdict: GuardVerdict,
    /// How many there were, over all CPUs, since the guard was started.
    pub packets: u64,
}

/// What becomes of packets that a guard decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardVerdict {
    /// They go on to the service.
    Accept,
    /// They are dropped.
    Drop,
    /// They go on to the service, since the guard observes; its rules drop them.
    WouldDrop,
}

impl GuardVerdict {
    /// Its name in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::WouldDrop => "would-drop",
        }
    }
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
