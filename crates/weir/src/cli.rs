//! The command line: what its help says, and what holds for every command.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use weir_output::exit::UsageError;

use crate::commands::WeirCommand;

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
  weir guard check dns.toml               rules for a service of yours
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

impl Cli {
    /// Does what the command line asks for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        weir_hooks::check_without().map_err(|error| UsageError(error.to_string()))?;
        self.command.run(Self::command)
    }
}
