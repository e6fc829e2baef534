//! `weir dump`.

use std::process::ExitCode;

use crate::programs::{Findings, InputForm, ProgramInput, Tree, write_json, write_text};

/// Print the tree of a program: every instruction by its parts, with labels, maps and licence.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DumpArgs {
    #[command(flatten)]
    reading: ProgramInput,

    #[command(flatten)]
    form: InputForm,
}

const EXAMPLES: &str = "\
Examples:
  weir dump filter.s
  weir dump filter.o --json |
    jq '.programs[].instructions[] | select(.kind == \"call\")'

Exit status: 0 done, 1 the program is wrong or can't be read, 2 the arguments are wrong.";

/// Runs `weir dump`.
pub fn run(args: DumpArgs) -> anyhow::Result<ExitCode> {
    Findings::end(dump(&args), &args.reading.name(), args.reading.json)
}

fn dump(args: &DumpArgs) -> anyhow::Result<ExitCode> {
    let object = args.reading.input(&args.form)?.object()?;
    let tree = Tree::from(&object);
    if args.reading.json {
        write_json(&tree)?
    } else {
        write_text(&tree)?
    }
    Ok(ExitCode::SUCCESS)
}
