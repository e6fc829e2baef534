//! The `weir` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use weir::cli::Cli;
use weir_output::eprintln;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("weir: {error:#}");
            weir_output::exit::code_of(&error)
        }
    }
}
