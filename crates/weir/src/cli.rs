//! The command line: one subcommand a module of [`crate::commands`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{bench, client, completions, experiment, filters, report, serve};

/// Filter UDP requests in the kernel or in user space, and measure what it changes.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Client(client::Args),
    Experiment(experiment::Args),
    Report(report::Args),
    Filters(filters::Args),
    Bench(bench::Args),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

impl Cli {
    /// Does what the command line asks for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Client(args) => client::run(args),
            Command::Experiment(args) => experiment::run(args),
            Command::Report(args) => report::run(args),
            Command::Bench(args) => bench::run(args),
            Command::Filters(args) => filters::run(args),
            Command::Completions(args) => completions::completions(args),
            Command::Man(args) => completions::man(args),
        }
    }
}
