//! The laboratory: experiments and capacity searches, which make samples, and what joins server and client.

#[macro_use(eprintln)]
extern crate weir_output;

pub mod capacity;
pub mod core_time;
pub mod experiment;
pub mod filter_cost;
pub mod neighbour;
pub mod surroundings;
pub mod topology;
