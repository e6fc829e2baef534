//! What the `weir` command is made of: commands, experiments, statistics and reports.
#![forbid(unsafe_code)]

// Before all modules, which print with it.
#[macro_use(eprintln)]
extern crate weir_service;

pub mod arguments;
pub mod attach;
pub mod capacity;
pub mod cell;
pub mod cli;
pub mod commands;
pub mod core_time;
pub mod doctor;
pub mod documents;
pub mod exit;
pub mod experiment;
pub mod ledger;
pub mod neighbour;
mod notify;
pub mod output;
pub mod programs;
pub mod progress;
pub mod promises;
pub mod report;
pub mod sample;
pub mod stats;
pub mod store;
pub mod surroundings;
pub mod swapping;
pub mod terminal;
pub mod toolkits;
pub mod topology;
pub mod verify;
