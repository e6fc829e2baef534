//! `weir completions` and `weir man`: what packagers install beside the binary.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Command, builder::Resettable};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};
use weir_output::{print, write_whole};

/// Print the completion script of a shell, such as `weir completions bash >/etc/bash_completion.d/weir`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Write a man page for weir and for each of its commands into a folder.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The folder; it is made if it doesn't exist.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn completions(args: CompletionsArgs, mut weir: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut weir, "weir", &mut script);
    print(String::from_utf8_lossy(&script))
}

pub(crate) fn man(args: ManArgs, weir: Command) -> anyhow::Result<()> {
    let folder = args.folder;
    std::fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
    let mut command = weir.disable_help_subcommand(true);
    command.build();
    write_pages(&command, &folder)
}

/// The pages of `command` and of those below it. What stands behind the help is made here, since clap_mangen runs the
/// lines of examples together.
fn write_pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_pages(below, folder)?;
    }
    let behind = command.get_after_long_help().or_else(|| command.get_after_help());
    let behind = behind.map(|text| sections(&text.to_string())).unwrap_or_default();
    let bare = command.clone().after_help(Resettable::Reset).after_long_help(Resettable::Reset);
    let page = Man::new(bare);
    let path = folder.join(page.get_filename());
    let mut bytes = Vec::new();
    page.render(&mut bytes).with_context(|| format!("making the man page {}", path.display()))?;
    bytes.extend(behind.into_bytes());
    write_whole(&path, &bytes)
}

/// Sections of a man page: a line that is a word and a colon begins one, and what is indented keeps its lines.
fn sections(text: &str) -> String {
    const STATUS: &str = "Exit status: ";
    let mut roff = Roff::new();
    let (mut in_section, mut keeps_lines) = (false, false);
    for line in text.lines() {
        let title = line.strip_suffix(':').filter(|title| !title.contains(' '));
        let title = title.or_else(|| line.starts_with(STATUS).then_some(STATUS.trim_end_matches(": ")));
        if keeps_lines != line.starts_with(' ') {
            keeps_lines = !keeps_lines;
            // At column 3, so that 77 characters have room on 80 columns.
            let requests = if keeps_lines { [("in", "3n"), ("nf", "")] } else { [("fi", ""), ("in", "")] };
            for (request, argument) in requests {
                roff.control(request, [argument].into_iter().filter(|argument| !argument.is_empty()));
            }
        }
        match title {
            Some(title) => _ = roff.control("SH", [title.to_uppercase().as_str()]),
            None if !in_section => _ = roff.control("SH", ["NOTES"]),
            None => {}
        }
        in_section = true;
        match line.strip_prefix(STATUS).or(line.strip_prefix("  ")).unwrap_or(line) {
            "" => _ = roff.control("PP", []),
            _ if line.ends_with(':') && title.is_some() => {}
            text => _ = roff.text([roman(text)]),
        }
    }
    if keeps_lines {
        roff.control("fi", []).control("in", []);
    }
    roff.to_roff()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn each(command: &Command, check: &impl Fn(&Command)) {
        check(command);
        command.get_subcommands().for_each(|below| each(below, check));
    }

    #[test]
    fn examples_fit_on_80_columns() {
        let mut command = Cli::command();
        command.build();
        each(&command, &|command| {
            let behind = [command.get_after_help(), command.get_after_long_help()];
            for text in behind.into_iter().flatten().map(ToString::to_string) {
                let kept = text.lines().filter(|line| line.starts_with("  "));
                kept.for_each(|line| assert!(line.chars().count() < 80, "{}: {line}", command.get_name()));
            }
        });
    }

    #[test]
    fn examples_keep_their_lines_in_man_pages() {
        let text = "Examples:\n  weir a   one\n  weir b\n\nExit status: 0 done.";
        let expected =
            ".SH EXAMPLES\n.in 3n\n.nf\nweir a   one\nweir b\n.fi\n.in\n.PP\n.SH \"EXIT STATUS\"\n0 done.\n";
        assert_eq!(sections(text), expected);
        assert_eq!(sections("It takes:\n  a  3 s"), ".SH NOTES\nIt takes:\n.in 3n\n.nf\na  3 s\n.fi\n.in\n");
    }
}
