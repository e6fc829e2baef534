//! The subcommands: each module has its arguments and the function that runs it.

pub mod bench;
pub mod client;
pub mod completions;
pub mod experiment;
pub mod filters;
pub mod report;
pub mod serve;
