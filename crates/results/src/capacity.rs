//! What a search for a capacity leaves in a results folder.

mod decider;
mod goal;
pub mod known;
pub mod record;
mod result;
mod spread;
mod summary;

pub use decider::Decider;
pub use goal::Goal;
pub use known::Known;
pub use result::{GoalResult, SearchEnd};
pub use spread::Spread;
pub use summary::{Capacities, Capacity, CapacityCost, CapacityRatio};

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

weir_filters::names! {
    /// The experiment that a sample of such a run names.
    Purpose::name { Ceiling = "capacity-ceiling", Search = NAME, Cost = "capacity-cost" }
}
