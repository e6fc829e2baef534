//! What a search finds for a goal.

use serde::{Deserialize, Serialize};

use super::Goal;

/// What a search found for a goal (RFC 9971, section 4.8).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoalResult {
    /// The goal.
    pub goal: Goal,
    /// Relevant lower bound, packets/s: the highest load known to be carried. Where there is no upper bound it is the
    /// highest load tried.
    pub lower: Option<u64>,
    /// Relevant upper bound, packets/s: the lowest load known not to be carried.
    pub upper: Option<u64>,
    /// The lowest load known not to be carried for its loss alone, packets/s: the capacity is below it, whatever the
    /// generator did.
    pub upper_by_loss: Option<u64>,
    /// Conditional throughput, packets/s: what comes through at the lower bound, at least half of the time where the
    /// exceed ratio is 0.5.
    pub conditional_throughput: Option<f64>,
    /// Whether it is the generator that keeps the lower bound from being higher.
    pub limited: bool,
    /// Full-length trials at the lower bound.
    pub lower_trials: u32,
    /// Those of them that exceeded the loss ratio all the same: how noisy single trials are.
    pub lower_exceeding: u32,
    /// Why the search ended.
    pub end: SearchEnd,
}

/// Why a search ended for a goal. All but [`SearchEnd::Found`] are irregular results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchEnd {
    /// Both bounds are known, and near enough.
    Found,
    /// Even the highest load is carried.
    Highest,
    /// Not even the lowest load is carried.
    Lowest,
    /// There were too many trials.
    OutOfTrials,
}
