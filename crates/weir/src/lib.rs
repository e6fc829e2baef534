//! The `weir` command: a module for each subcommand, and what one of them alone uses.
#![forbid(unsafe_code)]

// Before all modules, which print with it.
#[macro_use(eprintln)]
extern crate weir_output;

pub mod arguments;
pub mod attach;
pub mod cli;
pub mod commands;
pub mod doctor;
pub mod documents;
mod notify;
pub mod programs;
pub mod progress;
pub mod promises;
pub mod toolkits;
