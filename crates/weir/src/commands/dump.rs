//! `weir dump`.

use std::process::ExitCode;

use weir_output::print;

use crate::programs::{Findings, InputForm, ProgramInput, Tree};

/// Print the tree of a program: every instruction by its parts, with labels, maps and licence.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DumpArgs {
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

pub(crate) fn run(args: DumpArgs) -> anyhow::Result<ExitCode> {
    Findings::end(dump(&args), &args.reading.name(), args.reading.json)
}

fn dump(args: &DumpArgs) -> anyhow::Result<()> {
    let object = args.reading.input(&args.form)?.object()?;
    let tree = Tree::from(&object);
    if args.reading.json { print(serde_json::to_string(&tree)? + "\n") } else { print(&tree) }
}
