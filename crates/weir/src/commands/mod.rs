//! The subcommands: each module has its arguments and the function that runs it.

mod advise;
mod asm;
mod attach;
mod bench;
mod capacity;
mod check;
mod client;
mod client_report;
mod compare;
mod completions;
mod conducting;
mod disasm;
mod doctor;
mod dump;
mod experiment;
mod figures;
mod filter;
mod filters;
mod guard;
mod guard_change;
mod guard_export;
mod guard_remove;
mod guard_run;
mod guard_status;
mod guard_top;
mod neighbour;
mod net;
mod report;
mod run;
mod serve;
mod toolkits;
mod verify;

use std::{
    io::{self, IsTerminal as _},
    process::{ExitCode, Termination as _},
};

use clap::{Command, Subcommand};
use serde::Serialize;
use weir_output::print;

/// A row is a command, in the order of the help: its name, its module, which has `run`, and its arguments.
macro_rules! commands {
    ($($(#[$shown:meta])* $name:ident($module:ident::$args:ident),)*) => {
        // No documentation, which would become the help's.
        #[derive(Debug, Subcommand)]
        pub(crate) enum WeirCommand {
            $($(#[$shown])* $name($module::$args),)*
            Completions(completions::CompletionsArgs),
            Man(completions::ManArgs),
        }

        impl WeirCommand {
            /// Does it; `weir` makes the whole command line, for those that are about it.
            pub(crate) fn run(self, weir: fn() -> Command) -> anyhow::Result<ExitCode> {
                Ok(match self {
                    $(Self::$name(args) => $module::run(args)?.report(),)*
                    Self::Completions(args) => completions::completions(args, weir())?.report(),
                    Self::Man(args) => completions::man(args, weir())?.report(),
                })
            }
        }
    };
}

commands! {
    Serve(serve::ServeArgs),
    Client(client::ClientArgs),
    Experiment(experiment::ExperimentArgs),
    Capacity(capacity::CapacityArgs),
    Report(report::ReportArgs),
    Figures(figures::FiguresArgs),
    Compare(compare::CompareArgs),
    Advise(advise::AdviseArgs),
    Net(net::NetArgs),
    #[command(hide = true)]
    Neighbour(neighbour::NeighbourArgs),
    Filter(filter::FilterArgs),
    Filters(filters::FiltersArgs),
    Guard(guard::GuardArgs),
    Doctor(doctor::DoctorArgs),
    Toolkits(toolkits::ToolkitsArgs),
    Verify(verify::VerifyArgs),
    Bench(bench::BenchArgs),
    Asm(asm::AsmArgs),
    Disasm(disasm::DisasmArgs),
    Check(check::CheckArgs),
    Dump(dump::DumpArgs),
    Run(run::RunArgs),
    Attach(attach::AttachArgs),
}

/// Whether stdout is no terminal, so that tables are plain.
fn is_plain() -> bool {
    !io::stdout().is_terminal()
}

/// Prints `record` as one JSON document, or else as `text` has it.
fn print_record(json: bool, record: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    print(if json { serde_json::to_string_pretty(record)? + "\n" } else { text() })
}
