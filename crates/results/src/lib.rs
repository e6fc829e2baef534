//! Results: what a sample, a search, a cell and a rule are; storing and reading them; statistics.

pub mod capacity;
pub mod cell;
pub mod figure;
pub mod ledger;
pub mod neighbour;
pub mod net;
pub mod number;
pub mod rule;
pub mod sample;
pub mod stats;
pub mod store;
pub mod surroundings;
pub mod topology;
