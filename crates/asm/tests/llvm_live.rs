//! Compiled objects, ours, and every form of instruction at random, compared with the llvm-objdump of this machine.

mod disassembled;
mod forms;
mod samples;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use disassembled::{FIXTURES, assert_same, disassembled};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use weir_asm::{Call, Code, Endian, Imm64, Insn, Size, op::*};
use weir_testing::{Group, Test};

const TESTS: &[Test] = &[
    ("objects_read_as_llvm_objdump_prints_them", objects_read_as_llvm_objdump_prints_them),
    (
        "instructions_at_random_read_as_llvm_objdump_prints_them",
        instructions_at_random_read_as_llvm_objdump_prints_them,
    ),
];

fn main() {
    let obstacle = objdump().is_none().then(|| "no llvm-objdump of LLVM 22 here".to_owned());
    weir_testing::run([Group::of(TESTS).skipped_for(obstacle)]);
}

/// llvm-objdump of LLVM 22, where this machine has one.
fn objdump() -> Option<PathBuf> {
    ["llvm-objdump-22", "/usr/lib/llvm-22/bin/llvm-objdump", "llvm-objdump"]
        .into_iter()
        .map(PathBuf::from)
        .find(|program| {
            let version = Command::new(program).arg("--version").output();
            version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("LLVM version 22."))
        })
}

fn objdumped(objdump: &Path, bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("it can be written");
    let output = Command::new(objdump).args(["-d", "--no-show-raw-insn"]).arg(file.path()).output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("it prints UTF-8");
    text.lines().skip_while(|line| !line.starts_with("Disassembly")).map(|line| format!("{line}\n")).collect()
}

fn objects_read_as_llvm_objdump_prints_them() {
    let objdump = objdump().expect("the test runs where it is");
    for (name, bytes, _) in FIXTURES {
        assert_same(name, &disassembled(bytes), &objdumped(&objdump, bytes));
    }
    for (name, object) in samples::all() {
        for endian in [Endian::Little, Endian::Big] {
            let bytes = object.to_elf(endian).expect("it is written");
            assert_same(name, &disassembled(&bytes), &objdumped(&objdump, &bytes));
        }
    }
}

fn instructions_at_random_read_as_llvm_objdump_prints_them() {
    let objdump = objdump().expect("the test runs where it is");
    let mut runner = TestRunner::deterministic();
    for endian in [Endian::Little, Endian::Big] {
        let insns =
            prop::collection::vec(forms::insn(), 4000).new_tree(&mut runner).expect("a value").current();
        let mut code: Code = insns.into_iter().filter(llvm_knows).collect();
        code += exit();
        let object = samples::object(Vec::new(), vec![samples::program("random", "socket", code)]);
        let bytes = object.to_elf(endian).expect("it is written");
        assert_same("random", &disassembled(&bytes), &objdumped(&objdump, &bytes));
    }
}

/// Not functions, which would have to exist; not loads of eight packet bytes, which the kernel hasn't either; and an
/// indirect load's offset llvm-objdump leaves out.
fn llvm_knows(insn: &Insn) -> bool {
    match insn {
        Insn::Call(Call::Local(_)) | Insn::LoadImm { imm: Imm64::Func(_), .. } => false,
        Insn::LoadAbs { size, .. } => *size != Size::Dw,
        Insn::LoadInd { size, off, .. } => *size != Size::Dw && *off == 0,
        _ => true,
    }
}
