//! The subcommands: each module has its arguments and the function that runs it.

pub mod client;
pub mod experiment;
pub mod report;
