//! `weir asm`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use weir_asm::{Code, Object};
use weir_output::exit::UsageError;

use crate::programs::{ByteOrder, Findings, ProgramInput, is_elf, write_binary};

/// Assemble a text into an ELF object that aya, libbpf and bpftool load, or into raw instructions.
///
/// A bare list of instructions is a program `main` for a socket (section `socket`); `.program NAME SECTION` says
/// otherwise. What the kernel would refuse whatever the program is for is refused here, in its line.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AsmArgs {
    #[command(flatten)]
    reading: ProgramInput,

    /// Where the result goes, whole or not at all; `-`, and nothing said, is standard output.
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,

    /// Write the instructions of one program alone, 8 bytes a slot.
    #[arg(long, conflicts_with = "elf")]
    raw: bool,

    /// The text is a part of a program, which needs no `exit`: its raw instructions are written. Jumps out of it stay as they
    /// are, and nothing is checked that only a whole program can be wrong about.
    #[arg(long, conflicts_with_all = ["elf", "program"])]
    fragment: bool,

    /// Write an ELF object with maps, BTF and source lines; so it is where nothing is said.
    #[arg(long)]
    elf: bool,

    /// The byte order; by default this machine's.
    #[arg(long, value_name = "ORDER", default_value_t, value_enum)]
    endian: ByteOrder,

    /// The program whose instructions `--raw` writes, where there are several.
    #[arg(long, value_name = "NAME", requires = "raw")]
    program: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  weir asm filter.s -o filter.o               an object, as bpftool loads it
  printf 'mov r0, 0\\nexit\\n' | weir asm - --raw | xxd
  printf 'mov r0, 1\nadd r0, r1\n' | weir asm - --fragment | xxd
  weir asm filter.s --endian big -o filter.o  for s390x
  weir asm filter.s --json -o filter.o        errors as JSON, one object a line

Exit status: 0 done, 1 the text is wrong or can't be read, 2 the arguments are.";

pub(crate) fn run(args: AsmArgs) -> anyhow::Result<ExitCode> {
    Findings::end(assemble(&args), &args.reading.name(), args.reading.json)
}

fn assemble(args: &AsmArgs) -> anyhow::Result<()> {
    let file = args.reading.name();
    let bytes = args.reading.bytes()?;
    if is_elf(&bytes) {
        anyhow::bail!("{file} is an ELF object already; `weir disasm --text {file}` makes text of it");
    }
    let endian = args.endian.into();
    let raw = |name: &str, code: &Code| {
        for (_, map) in code.maps() {
            eprintln!(
                "weir: map {map} has descriptor 0 in raw instructions, which know none by name: fill it in"
            );
        }
        code.encode(endian).with_context(|| {
            format!("encoding {name} of {file} as raw instructions, which know no maps by name")
        })
    };
    let result = if args.fragment {
        raw("the fragment", &args.reading.assemble_fragment(&bytes)?)?
    } else {
        let object = args.reading.assemble(&bytes)?;
        if args.raw {
            let program = chosen(&object, args.program.as_deref())?;
            raw(&program.name, &program.code)?
        } else {
            object.to_elf(endian).with_context(|| format!("making an object of {file}"))?
        }
    };
    write_binary(args.out.as_deref(), &result)
}

fn chosen<'a>(object: &'a Object, name: Option<&str>) -> anyhow::Result<&'a weir_asm::Program> {
    let names: Vec<_> = object.programs.iter().map(|program| program.name.as_str()).collect();
    let found = match (name, &object.programs[..]) {
        (None, [only]) => Some(only),
        (Some(name), programs) => programs.iter().find(|program| program.name == name),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let text = format!(
            "raw instructions are one program's: name it with --program, one of {}",
            names.join(", ")
        );
        UsageError(text).into()
    })
}
