//! Compiled objects, and whole objects shown as llvm-objdump shows them.

use std::fmt::Write as _;

use weir_asm::{read_elf, show::llvm::Llvm};

macro_rules! fixtures {
    ($($name:literal),*) => {
        &[$(($name, include_bytes!(concat!("../objects/", $name, ".o")), include_str!(concat!("../objects/", $name, ".txt")))),*]
    };
}

/// An object, and what llvm-objdump says of it.
pub(crate) type Fixture = (&'static str, &'static [u8], &'static str);

/// Made by tests/objects/make.sh.
pub(crate) const FIXTURES: &[Fixture] = fixtures!(
    "forms-v2",
    "forms-v3",
    "forms-v4",
    "forms-be",
    "lines",
    "legacy",
    "encodings",
    "count-filter",
    "robust-valid-command"
);

/// An object as `llvm-objdump -d --no-show-raw-insn` shows it, below its first line.
pub(crate) fn disassembled(bytes: &[u8]) -> String {
    let file = read_elf(bytes).unwrap_or_else(|error| panic!("{error}"));
    let mut text = String::new();
    for section in &file.sections {
        write!(text, "\nDisassembly of section {}:\n", section.name).expect("a string takes it");
        let symbols = section.symbols.iter().map(|symbol| (symbol.slot, &*symbol.name));
        let llvm = Llvm::new(&section.code).symbols(symbols);
        for index in 0..section.code.len() {
            let slot = llvm.slot(index);
            for symbol in section.symbols.iter().filter(|symbol| symbol.slot == slot) {
                write!(text, "\n{:016x} <{}>:\n", 8 * slot, symbol.name).expect("a string takes it");
            }
            writeln!(text, "{slot:8}:\t{}", llvm.insn(index)).expect("a string takes it");
        }
    }
    text
}

pub(crate) fn assert_same(name: &str, ours: &str, theirs: &str) {
    let lines = |text: &str| text.trim().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    let (ours, theirs) = (lines(ours), lines(theirs));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "{name}");
    }
    assert_eq!(ours.len(), theirs.len(), "{name}");
}
