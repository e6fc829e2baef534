//! What the busy neighbours of a run did.

use serde::{Deserialize, Serialize};

/// What a neighbour did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourRecord {
    /// Where it was allowed to run; empty for anywhere.
    pub cores: Vec<usize>,
    /// Passes over its memory that it finished; comparable between runs on one machine only.
    pub passes: u64,
    /// How long it was there, nanoseconds.
    pub wall_ns: u64,
    /// The CPU time that it got, microseconds. Less than the wall time is what it had to leave to others.
    pub cpu_us: u64,
}
