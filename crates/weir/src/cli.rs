//! The command line: one subcommand a module of [`crate::commands`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use weir_output::exit::UsageError;

use crate::commands::{
    advise, asm, attach, bench, capacity, check, client, compare, completions, disasm, doctor, dump,
    experiment, figures, filter, filters, neighbour, net, report, run, serve, toolkits, verify,
};

/// Filter UDP requests in the kernel or in user space, and measure what it changes.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  weir serve                              the bag behind valid-command (root)
  weir client -b odin                     PUTs and GETs; ends the server
  weir client -b frigg -n 1000000 -p 75   a million packets, 75 % invalid
  weir net up                             a veth pair, for --net (root)
  weir filters                            what there is, and where it runs
  weir doctor                             what this machine can't do, and why
  weir toolkits                           what each filter costs (as root)
  weir verify                             each program and the reference (root)
  weir experiment kernel-or-user          what filtering in the kernel changes
  weir capacity                           the highest rate without loss (root)
  weir report results/latest              the report again, from its samples
  weir compare results/a results/b        did my change help?
  weir advise --invalid 30 --rate 100000  where to filter, from results here
  weir bench                              the figures that weir promises (root)
  weir asm filter.s -o filter.o           assemble; see check, disasm, run too
  weir attach calls.o                     a program of yours, attached (root)

Exit status: 0 done, 1 it failed, 2 it was asked for something that makes no sense.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Client(client::Args),
    Experiment(experiment::Args),
    Capacity(capacity::Args),
    Report(report::Args),
    Figures(figures::Args),
    Compare(compare::Args),
    Advise(advise::Args),
    Net(net::Args),
    #[command(hide = true)]
    Neighbour(neighbour::Args),
    Filter(filter::Args),
    Filters(filters::Args),
    Doctor(doctor::Args),
    Toolkits(toolkits::Args),
    Verify(verify::Args),
    Bench(bench::Args),
    Asm(asm::Args),
    Disasm(disasm::Args),
    Check(check::Args),
    Dump(dump::Args),
    Run(run::Args),
    Attach(attach::Args),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

impl Cli {
    /// Does what the command line asks for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        weir_hooks::check_without().map_err(|error| UsageError(error.to_string()))?;
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Client(args) => client::run(args),
            Command::Experiment(args) => experiment::run(args),
            Command::Capacity(args) => capacity::run(args),
            Command::Report(args) => report::run(args),
            Command::Figures(args) => figures::run(args),
            Command::Toolkits(args) => toolkits::run(args),
            Command::Compare(args) => compare::run(args),
            Command::Advise(args) => advise::run(args),
            Command::Net(args) => net::run(args),
            Command::Neighbour(args) => neighbour::run(args),
            Command::Bench(args) => bench::run(args),
            Command::Asm(args) => asm::run(args),
            Command::Disasm(args) => disasm::run(args),
            Command::Check(args) => check::run(args),
            Command::Dump(args) => dump::run(args),
            Command::Run(args) => run::run(args),
            Command::Attach(args) => attach::run(args),
            Command::Verify(args) => verify::run(args),
            Command::Filter(args) => filter::run(args),
            Command::Filters(args) => filters::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Completions(args) => completions::completions(args),
            Command::Man(args) => completions::man(args),
        }
    }
}
