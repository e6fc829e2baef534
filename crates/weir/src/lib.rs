//! The `weir` command: a module for each subcommand, and what one of them alone uses.
#![forbid(unsafe_code)]

// Before all modules, which print with it.
#[macro_use(eprintln)]
extern crate weir_output;

mod arguments;
mod attach;
pub mod cli;
mod commands;
mod doctor;
pub mod documents;
mod guards;
mod notify;
mod programs;
mod progress;
pub mod promises;
pub mod toolkits;
