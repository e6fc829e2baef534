//! `weir check`.

use std::process::ExitCode;

use weir_asm::{
    Object,
    text::{diagnose, diagnose_fragment},
};
use weir_output::{exit::UsageError, print};

use crate::programs::{Findings, Input, InputForm, ProgramInput, is_elf};

/// Look for what the kernel would refuse, without asking it: errors and warnings, in their lines.
///
/// Finding nothing promises nothing: the verifier also follows values. `weir run` asks it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    reading: ProgramInput,

    #[command(flatten)]
    form: InputForm,

    /// The text is a part of a program: what only a whole program can be wrong about, such as having no `exit`, is left out.
    #[arg(long, conflicts_with = "raw")]
    fragment: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir check filter.s         text, with what is wrong shown in its line
  weir check filter.o         an object, whoever compiled it
  weir check filter.s --json  one object a line: kind, message, file, line …

Exit status: 0 nothing stands in the way (warnings may be said), 1 something does, 2 the arguments are wrong.";

pub(crate) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    Findings::end(look(&args), &args.reading.name(), args.reading.json)
}

fn look(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let file = args.reading.name();
    let bytes = args.reading.bytes()?;
    let (object, findings) = if args.fragment {
        if is_elf(&bytes) {
            let text = format!("{file} is an ELF object, whose programs are whole; --fragment is for text");
            return Err(UsageError(text).into());
        }
        let code = args.reading.assemble_fragment(&bytes)?;
        let findings = Findings::in_text(&file, &bytes, &diagnose_fragment(&code, &bytes));
        (Input::Raw(code).object()?, findings)
    } else if args.form.raw || is_elf(&bytes) {
        let object = Input::read(&args.reading, &args.form, bytes)?.object()?;
        let findings = Findings::in_object(&file, &object);
        (object, findings)
    } else {
        let object = args.reading.assemble(&bytes)?;
        let findings = Findings::in_text(&file, &bytes, &diagnose(&object, &bytes));
        (object, findings)
    };
    findings.say(args.reading.json);
    if findings.has_errors() {
        return Ok(ExitCode::FAILURE);
    }
    if !args.reading.json && args.fragment {
        let code = &object.programs[0].code;
        let (insns, slots) = (code.len(), code.slots());
        print(format!("a fragment: {insns} instructions in {slots} slots, no error found\n"))?;
    } else if !args.reading.json {
        print(passed(&object))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn passed(object: &Object) -> String {
    let line = |program: &weir_asm::Program| {
        let (insns, slots) = (program.code.len(), program.code.slots());
        format!(
            "{} ({}): {insns} instructions in {slots} slots, no error found\n",
            program.name, program.section
        )
    };
    object.programs.iter().map(line).collect()
}
