//! `weir doctor`.

use std::process::ExitCode;

use anyhow::Context as _;
use weir_lab::experiment::interrupt::{self, Interrupt};
use weir_output::terminal;

use super::{is_plain, print_record};
use crate::doctor::{Check, examine, leftovers};

/// Say what this machine can and can't do for weir, why, and what to do about it.
///
/// Each hook is tried by attaching a program in a network namespace of its own, which is gone afterwards, and every program
/// of the catalogue is loaded once. Exit status 0 where a server can filter at its socket and the kernel refuses no program
/// that weir takes it to take, whatever else is missing.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,

    /// Remove what killed runs left: empty control groups, filters at tc that no link held, parts of the pair of `weir net
    /// up`, temporary folders; only what weir made.
    #[arg(long)]
    fix: bool,
}

pub(crate) fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    // What is tried would stay behind if a signal ended this at once.
    let interrupt = Interrupt::listen().context("listening for SIGINT and SIGTERM")?;
    let mut is_fixed = true;
    if args.fix {
        for leftover in leftovers::find()? {
            match leftover.remove() {
                Ok(removed) => eprintln!("weir: removed {removed}"),
                Err(error) => {
                    is_fixed = false;
                    eprintln!("weir: removing {leftover:?}: {error:#}");
                }
            }
        }
    }
    let examination = examine();
    if interrupt.check().is_err() {
        return Ok(ExitCode::from(interrupt::STATUS));
    }
    print_record(args.json, &examination, || format!("{}\n", table(&examination.findings)))?;
    Ok(if examination.is_well() && is_fixed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(findings: &[Check]) -> comfy_table::Table {
    let mut table = terminal::table(is_plain());
    table.set_header(["what", "", "found", "what to do"]);
    for Check { what, state, found, remedy } in findings {
        table.add_row([what.as_str(), state.as_str(), found, remedy]);
    }
    terminal::keep_words(&mut table);
    table
}
