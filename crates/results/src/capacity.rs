//! What a search for a capacity leaves in a results folder.

mod decider;
mod goal;
pub mod known;
pub mod record;
mod result;

pub use decider::Decider;
pub use goal::Goal;
pub use known::Known;
pub use result::{GoalResult, SearchEnd};

/// Name of the experiment, in samples and the manifest.
pub const NAME: &str = "capacity";

/// The file of a results folder that holds the summary of its searches.
pub const SUMMARY: &str = "capacity.json";

/// What a run is made for; it names the experiment in its sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The highest rate that the generator reaches.
    Ceiling,
    /// A trial of a search.
    Search,
    /// What the servers spend at one rate.
    Cost,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ceiling, Self::Search, Self::Cost];

    /// The experiment that a sample of such a run names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "capacity-ceiling",
            Self::Search => NAME,
            Self::Cost => "capacity-cost",
        }
    }
}
