//! The subcommands: each module has its arguments and the function that runs it.

pub mod advise;
pub mod asm;
pub mod attach;
pub mod bench;
pub mod capacity;
pub mod check;
pub mod client;
mod client_report;
pub mod compare;
pub mod completions;
mod conducting;
pub mod disasm;
pub mod doctor;
pub mod dump;
pub mod experiment;
pub mod figures;
pub mod filter;
pub mod filters;
pub mod neighbour;
pub mod net;
pub mod report;
pub mod run;
pub mod serve;
pub mod toolkits;
pub mod verify;
