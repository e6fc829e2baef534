//! The record that guards leave of services that ran already: what `weir guard run --summary FILE` writes, as JSON.

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
    /// What all decisions came to.
    pub verdicts: VerdictCounts,
    /// Only decisions that there were.
    pub decisions: Vec<DecisionCount>,
}
