//! Programs in the dialect of uBPF and the public conformance suite, against bytes worked out by hand.
//!
//! Each line of `conformance/*.asm` that is an instruction says in its comment what it must become.

use std::{
    fs,
    path::{Path, PathBuf},
};

use weir_asm::{Endian, decode, show::fun, text::assemble_code};

fn programs() -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let files = fs::read_dir(&folder).expect("the folder can be read");
    let mut files: Vec<_> = files.map(|file| file.expect("its entries can be read").path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("they are text"))).collect()
}

fn wanted(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(at, line)| Some((at + 1, line.split_once("want ")?.1)))
        .map(|(line, hex)| (line, hex.chars().filter(|c| !c.is_whitespace()).collect()))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn assembled(path: &Path, text: &str) -> weir_asm::Code {
    let name = path.display().to_string();
    assemble_code(text.as_bytes())
        .unwrap_or_else(|errors| panic!("{}", errors.display(&name, text.as_bytes())))
}

#[test]
fn each_instruction_has_the_bytes_that_its_line_wants() {
    let mut instructions = 0;
    for (path, text) in programs() {
        let code = assembled(&path, &text);
        let bytes = hex(&code.encode(Endian::Little).expect("it encodes"));
        let wanted = wanted(&text);
        assert_eq!(
            code.len(),
            wanted.len(),
            "{}: as many instructions as lines that want one",
            path.display()
        );
        let mut rest = bytes.as_str();
        for (index, (line, want)) in wanted.iter().enumerate() {
            assert_eq!(code.line(index).map(|line| line.number as usize), Some(*line), "{}", path.display());
            let have;
            (have, rest) = rest.split_at(code.insns()[index].slots() * 16);
            assert_eq!(have, want, "{}:{line}", path.display());
        }
        instructions += wanted.len();
    }
    assert!(instructions > 130, "only {instructions} instructions were compared");
}

#[test]
fn windows_line_ends_and_other_comment_signs_change_nothing() {
    for (path, text) in programs() {
        let code = assembled(&path, &text);
        for other in [text.replace('\n', "\r\n"), text.replace('#', ";"), text.replace('#', "//")] {
            assert_eq!(assembled(&path, &other), code, "{}", path.display());
        }
    }
}

#[test]
fn what_is_shown_of_them_reads_back_to_the_same_bytes() {
    for (path, text) in programs() {
        let bytes = assembled(&path, &text).encode(Endian::Little).expect("it encodes");
        let Ok(decoded) = decode(&bytes, Endian::Little) else {
            assert!(path.ends_with("raw.asm"), "{}", path.display());
            continue;
        };
        for shown in [fun::code(&decoded).to_string(), fun::code_with_labels(&decoded).to_string()] {
            let again = assembled(&path, &shown).encode(Endian::Little).expect("it encodes");
            assert_eq!(again, bytes, "{shown}");
        }
    }
}
