//! The command line: one subcommand a module of [`crate::commands`].

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
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
    command: WeirCommand,
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
enum WeirCommand {
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
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

impl Cli {
    /// Does what the command line asks for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        weir_hooks::check_without().map_err(|error| UsageError(error.to_string()))?;
        match self.command {
            WeirCommand::Serve(args) => serve::run(args),
            WeirCommand::Client(args) => client::run(args),
            WeirCommand::Experiment(args) => experiment::run(args),
            WeirCommand::Capacity(args) => capacity::run(args),
            WeirCommand::Report(args) => report::run(args),
            WeirCommand::Figures(args) => figures::run(args),
            WeirCommand::Toolkits(args) => toolkits::run(args),
            WeirCommand::Compare(args) => compare::run(args),
            WeirCommand::Advise(args) => advise::run(args),
            WeirCommand::Net(args) => net::run(args),
            WeirCommand::Neighbour(args) => neighbour::run(args),
            WeirCommand::Bench(args) => bench::run(args),
            WeirCommand::Asm(args) => asm::run(args),
            WeirCommand::Disasm(args) => disasm::run(args),
            WeirCommand::Check(args) => check::run(args),
            WeirCommand::Dump(args) => dump::run(args),
            WeirCommand::Run(args) => run::run(args),
            WeirCommand::Attach(args) => attach::run(args),
            WeirCommand::Verify(args) => verify::run(args),
            WeirCommand::Filter(args) => filter::run(args),
            WeirCommand::Filters(args) => filters::run(args),
            WeirCommand::Doctor(args) => doctor::run(args),
            WeirCommand::Completions(args) => completions::completions(args, Self::command()),
            WeirCommand::Man(args) => completions::man(args, Self::command()),
        }
    }
}
