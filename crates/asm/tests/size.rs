//! Large texts take time and memory in proportion: what grows with their square runs out of what this process may use.

use std::fmt::Write as _;

use nix::sys::resource::{Resource, setrlimit};
use weir_asm::{
    Diagnostics, Endian, read_elf, show,
    text::{assemble, diagnose},
};

const LINES: usize = 200_000;
/// Many times what the tests of this file take together, and a fraction of what comparing each line with each takes.
const CPU_SECONDS: u64 = 60;
const BYTES: u64 = 4 << 30;

/// `LINES` lines made of pieces that are numbered.
fn text(lines_a_piece: usize, piece: impl Fn(usize) -> String) -> String {
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS).expect("less is always allowed");
    setrlimit(Resource::RLIMIT_AS, BYTES, BYTES).expect("less is always allowed");
    (0..LINES / lines_a_piece).map(piece).collect()
}

/// All that the commands do with a text that is right.
fn all_the_way(text: &str) {
    let object = assemble("large", text.as_bytes()).expect("it is right");
    assert!(diagnose(&object, text.as_bytes()).iter().count() <= Diagnostics::LIMIT);
    let elf = object.to_elf(Endian::Little).expect("it is representable");
    let read = read_elf(&elf).expect("it is ours");
    let again = read.object().expect("it is whole");
    assert_eq!(again.programs.len(), object.programs.len());
    for (was, program) in object.programs.iter().zip(&again.programs) {
        assert_eq!(was.code.len(), program.code.len());
    }
    assert!(!show::fun::object(&again).to_string().is_empty());
    let mut listed = String::new();
    for section in &read.sections {
        write!(listed, "{}", show::llvm::Llvm::new(&section.code)).expect("a string takes all");
    }
    assert!(listed.lines().count() >= object.programs.iter().map(|program| program.code.len()).sum());
}

fn fails_in(text: &str, message: &str) {
    let errors = assemble("large", text.as_bytes()).expect_err(message);
    assert_eq!((errors.iter().count(), errors.has_more()), (Diagnostics::LIMIT, true));
    let first = errors.iter().next().expect("there are many");
    assert!(first.message.contains(message), "{}", first.message);
}

#[test]
fn one_long_program_goes_all_the_way() {
    let piece = |n| {
        format!("at{n}:\n jeq r1, {n}, end{n}\n stw [r10 - 8], {n}\n lddw r2, {n}\nend{n}:\n mov r0, 0\n")
    };
    all_the_way(&(text(6, piece) + "exit\n"));
}

#[test]
fn many_programs_with_maps_go_all_the_way() {
    let piece = |n| {
        format!(
            ".map m{n} array key=u32 value=u32 entries=1\n.program p{n} socket\n lmap r1, m{n}\n call f{n}\n exit\n\
             f{n}:\n mov r0, 0\n exit\n\n\n"
        )
    };
    all_the_way(&text(10, piece));
}

#[test]
fn many_errors_are_the_first_of_them() {
    for (piece, message) in [
        ("movv r0, N\n", "unknown mnemonic"),
        ("mov r0, N, 1\n", "there is more than"),
        ("mov r0, aN\n", "no constant"),
        ("ja aN\n", "no label is named"),
        ("call aN\n", "neither a helper nor a label"),
        ("lmap r1, aN\n mov r0, 0\n exit\n", "no map is named"),
        (".program p socket\n", "has no instruction"),
    ] {
        fails_in(&text(1, |n| piece.replace('N', &n.to_string())), message);
    }
    fails_in(&("a: exit\n".to_owned() + &text(1, |_| "a:\n".to_owned())), "a second label");
}
