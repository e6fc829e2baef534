//! The command line: one subcommand a module of `commands`.

use std::process::{ExitCode, Termination as _};

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
        Ok(match self.command {
            WeirCommand::Serve(args) => serve::run(args)?.report(),
            WeirCommand::Client(args) => client::run(args)?.report(),
            WeirCommand::Experiment(args) => experiment::run(args)?.report(),
            WeirCommand::Capacity(args) => capacity::run(args)?.report(),
            WeirCommand::Report(args) => report::run(args)?.report(),
            WeirCommand::Figures(args) => figures::run(args)?.report(),
            WeirCommand::Toolkits(args) => toolkits::run(args)?.report(),
            WeirCommand::Compare(args) => compare::run(args)?.report(),
            WeirCommand::Advise(args) => advise::run(args)?.report(),
            WeirCommand::Net(args) => net::run(args)?.report(),
            WeirCommand::Neighbour(args) => neighbour::run(args)?.report(),
            WeirCommand::Bench(args) => bench::run(args)?.report(),
            WeirCommand::Asm(args) => asm::run(args)?.report(),
            WeirCommand::Disasm(args) => disasm::run(args)?.report(),
            WeirCommand::Check(args) => check::run(args)?.report(),
            WeirCommand::Dump(args) => dump::run(args)?.report(),
            WeirCommand::Run(args) => run::run(args)?.report(),
            WeirCommand::Attach(args) => attach::run(args)?.report(),
            WeirCommand::Verify(args) => verify::run(args)?.report(),
            WeirCommand::Filter(args) => filter::run(args)?.report(),
            WeirCommand::Filters(args) => filters::run(args)?.report(),
            WeirCommand::Doctor(args) => doctor::run(args)?.report(),
            WeirCommand::Completions(args) => completions::completions(args, Self::command())?.report(),
            WeirCommand::Man(args) => completions::man(args, Self::command())?.report(),
        })
    }
}
