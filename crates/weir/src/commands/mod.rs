//! The subcommands: each module has its arguments and the function that runs it.

pub(crate) mod advise;
pub(crate) mod asm;
pub(crate) mod attach;
pub(crate) mod bench;
pub(crate) mod capacity;
pub(crate) mod check;
pub(crate) mod client;
mod client_report;
pub(crate) mod compare;
pub(crate) mod completions;
mod conducting;
pub(crate) mod disasm;
pub(crate) mod doctor;
pub(crate) mod dump;
pub(crate) mod experiment;
pub(crate) mod figures;
pub(crate) mod filter;
pub(crate) mod filters;
pub(crate) mod neighbour;
pub(crate) mod net;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod toolkits;
pub(crate) mod verify;

use std::io::{self, IsTerminal as _};

use serde::Serialize;
use weir_output::print;

/// Whether stdout is no terminal, so that tables are plain.
fn is_plain() -> bool {
    !io::stdout().is_terminal()
}

/// Prints `record` as one JSON document, or else as `text` has it.
fn print_record(json: bool, record: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    print(if json { serde_json::to_string_pretty(record)? + "\n" } else { text() })
}
