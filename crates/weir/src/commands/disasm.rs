//! `weir disasm`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use weir_asm::{
    Call, CodeSection, ElfFile, Endian, Insn, Object, Program, helpers, read_elf,
    show::{fun, llvm::Llvm},
};
use weir_output::{exit::UsageError, print};

use crate::programs::{Findings, Input, InputForm, ProgramInput};

/// Show instructions as text, a line each: `index: text`, where the index counts 8-byte slots.
///
/// An object is shown as it stands, by sections; `--text` shows it as `weir asm` takes it back, with labels and the
/// names of maps.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DisasmArgs {
    #[command(flatten)]
    reading: ProgramInput,

    #[command(flatten)]
    form: InputForm,

    /// How instructions are written: `fun` is what `weir asm` reads, `llvm` what llvm-objdump and the kernel print.
    #[arg(long, default_value_t, value_enum)]
    syntax: Syntax,

    /// Show this section alone.
    #[arg(long, value_name = "NAME")]
    section: Option<String>,

    /// Say behind instructions what relocations put into them, and the names of helpers.
    #[arg(long)]
    notes: bool,

    /// Show before instructions the source line that they come from, where an object keeps it.
    #[arg(long, conflicts_with = "json")]
    source: bool,

    /// Show a whole file for `weir asm` instead: licence, maps, programs, labels.
    #[arg(long, conflicts_with_all = ["section", "notes", "source", "json", "syntax"])]
    text: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Syntax {
    #[default]
    Fun,
    Llvm,
}

const EXAMPLES: &str = "\
Examples:
  weir disasm filter.o                         every section of an object
  weir disasm filter.o --syntax llvm --notes   as llvm-objdump, with helpers
  weir disasm filter.o --section socket
  weir disasm dns.o --source                   with the rules of a guard
  weir disasm filter.o --text > filter.s       text that weir asm takes back
  bpftool prog dump xlated id 7 file /dev/stdout | weir disasm - --raw

Exit status: 0 done, 1 there is no program in it or it can't be read, 2 the arguments are wrong.";

pub(crate) fn run(args: DisasmArgs) -> anyhow::Result<ExitCode> {
    Findings::end(disassemble(&args), &args.reading.name(), args.reading.json)
}

fn disassemble(args: &DisasmArgs) -> anyhow::Result<()> {
    if args.form.raw && args.section.is_some() {
        return Err(UsageError("raw instructions have no sections: leave --section away".to_owned()).into());
    }
    let input = args.reading.input(&args.form)?;
    if args.text {
        if let Input::Elf(_, file) = &input {
            keeps_in_text(file, &args.reading.name())?;
        }
        return print(whole_text(input.object()?));
    }
    let raw = matches!(input, Input::Raw(_));
    let sections = sections(input, &args.reading.name(), args.section.as_deref())?;
    let mut shown = String::new();
    for section in &sections {
        let lines = lines(section, args.syntax, args.notes);
        match (args.reading.json, raw) {
            (true, _) => json(&mut shown, &lines)?,
            (false, true) => lines.iter().try_for_each(|line| writeln!(shown, "{line}"))?,
            (false, false) => listing(&mut shown, section, &lines, args.source)?,
        }
    }
    print(&shown)
}

/// Refuses what would be lost: the object that is made of the text would do something else.
fn keeps_in_text(file: &ElfFile, name: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        !file.has_core_relocations,
        "{name} has CO-RE relocations, which text can't say: without them it would read fields where the kernel that it was \
         compiled for has them; leave --text away to look at it"
    );
    anyhow::ensure!(
        file.pinned_maps.is_empty(),
        "{name} has maps that are to be pinned ({}), which text can't say; leave --text away to look at it",
        file.pinned_maps.join(", ")
    );
    Ok(())
}

/// A file that assembles to the same, with labels where jumps go.
fn whole_text(mut object: Object) -> String {
    let programs = std::mem::take(&mut object.programs);
    let head = fun::object(&object).to_string();
    let program = |program: &Program| {
        format!(".program {} \"{}\"\n{}", program.name, program.section, fun::code_with_labels(&program.code))
    };
    head + &programs.iter().map(program).collect::<String>()
}

/// The sections to show; text is shown as the object that it becomes.
fn sections(input: Input, file: &str, wanted: Option<&str>) -> anyhow::Result<Vec<CodeSection>> {
    let ElfFile { mut sections, .. } = match input {
        Input::Raw(code) => return Ok(vec![CodeSection { code, ..CodeSection::default() }]),
        Input::Elf(_, elf) => elf,
        Input::Text(object) => {
            let bytes =
                object.to_elf(Endian::Little).with_context(|| format!("making an object of {file}"))?;
            read_elf(&bytes).with_context(|| format!("reading the object of {file}"))?
        }
    };
    let names: Vec<_> = sections.iter().map(|section| section.name.clone()).collect();
    anyhow::ensure!(!names.is_empty(), "{file} has no section with instructions");
    if let Some(wanted) = wanted {
        sections.retain(|section| section.name == wanted);
        anyhow::ensure!(
            !sections.is_empty(),
            "{file} has no section {wanted:?} with instructions; it has {}",
            names.join(", ")
        );
    }
    Ok(sections)
}

/// An instruction in its line.
#[derive(Serialize)]
struct InsnLine<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    section: &'a str,
    index: usize,
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl std::fmt::Display for InsnLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.index, self.text)?;
        self.notes.iter().try_for_each(|note| write!(f, "  # {note}"))
    }
}

fn lines(section: &CodeSection, syntax: Syntax, notes: bool) -> Vec<InsnLine<'_>> {
    let symbols = section.symbols.iter().map(|symbol| (symbol.slot, &*symbol.name));
    let llvm = Llvm::new(&section.code).symbols(symbols);
    let texts = fun::code(&section.code).to_string();
    let fun_texts: Vec<_> = match syntax {
        Syntax::Fun => texts.lines().map(str::trim).collect(),
        Syntax::Llvm => Vec::new(),
    };
    let line = |index: usize| {
        let slot = llvm.slot(index);
        let text = match syntax {
            Syntax::Fun => fun_texts[index].to_owned(),
            Syntax::Llvm => llvm.insn(index).to_string(),
        };
        let notes = if notes { notes_of(section, index, slot, syntax) } else { Vec::new() };
        InsnLine { section: &section.name, index: slot, text, notes }
    };
    (0..section.code.len()).map(line).collect()
}

/// What isn't in the instruction's text: what its relocation refers to, and a helper's name where the syntax has a
/// number.
fn notes_of(section: &CodeSection, index: usize, slot: usize, syntax: Syntax) -> Vec<String> {
    let helper = match section.code.insns()[index] {
        Insn::Call(Call::Helper(number)) if syntax == Syntax::Llvm => helpers::name(number),
        _ => None,
    };
    let first = section.relocations.partition_point(|relocation| relocation.slot < slot);
    let relocations = section.relocations[first..].iter().take_while(|relocation| relocation.slot == slot);
    let relocations =
        relocations.map(|relocation| format!("{} {}", relocation.kind.name(), relocation.symbol));
    helper.map(str::to_owned).into_iter().chain(relocations).collect()
}

/// A section under the headings of llvm-objdump.
fn listing(
    shown: &mut String,
    section: &CodeSection,
    lines: &[InsnLine<'_>],
    with_source: bool,
) -> std::fmt::Result {
    write!(shown, "\nDisassembly of section {}:\n", section.name)?;
    let mut symbols = section.symbols.iter().peekable();
    let mut sources = section.lines.iter().filter(|_| with_source).peekable();
    for line in lines {
        while let Some(symbol) = symbols.next_if(|symbol| symbol.slot <= line.index) {
            write!(shown, "\n{:016x} <{}>:\n", 8 * symbol.slot, symbol.name)?;
        }
        while let Some(source) = sources.next_if(|source| source.slot <= line.index) {
            writeln!(shown, "; {source}")?;
        }
        writeln!(shown, "{line}")?;
    }
    Ok(())
}

fn json(shown: &mut String, lines: &[InsnLine<'_>]) -> anyhow::Result<()> {
    for line in lines {
        writeln!(shown, "{}", serde_json::to_string(line)?)?;
    }
    Ok(())
}
