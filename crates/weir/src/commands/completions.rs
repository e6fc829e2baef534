//! `weir completions` and `weir man`: what packagers install beside the binary.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{cli::Cli, output::print};

/// Print the completion script of a shell, such as `weir completions bash >/etc/bash_completion.d/weir`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Write a man page for weir and for each of its commands into a folder.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder; it is made if it doesn't exist.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs `weir completions`.
pub fn completions(args: CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "weir", &mut script);
    print(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `weir man`.
pub fn man(args: ManArgs) -> anyhow::Result<ExitCode> {
    let folder = args.folder;
    std::fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
    clap_mangen::generate_to(Cli::command(), &folder)
        .with_context(|| format!("writing man pages into {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
