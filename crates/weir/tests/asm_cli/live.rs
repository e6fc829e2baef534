//! Compiled objects beside what the llvm-objdump of this machine says of them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Test,
    round_trip::instructions,
    running::{done, weir},
};

/// Each test, and the tools that it can't do without.
const TESTS: &[(Test, &[&str])] = &[
    (
        (
            "objects_of_clang_and_rustc_read_as_llvm_objdump_prints_them",
            objects_read_as_llvm_objdump_prints_them,
        ),
        &["llvm-objdump"],
    ),
    (
        (
            "what_this_machines_clang_compiles_reads_the_same",
            what_this_machines_clang_compiles_reads_the_same,
        ),
        &["llvm-objdump", "clang"],
    ),
];

/// The LLVM whose syntax is written: others print some instructions otherwise.
const LLVM: &str = "22";

/// The tests, each with why it can't run here.
pub(crate) fn tests() -> impl Iterator<Item = (&'static Test, Option<String>)> {
    TESTS.iter().map(|(test, tools)| {
        let missing = tools.iter().find(|name| tool(name).is_none());
        (test, missing.map(|name| format!("no {name} of LLVM {LLVM} here")))
    })
}

/// A tool of that LLVM, on the path or where Debian puts it.
fn tool(name: &str) -> Option<PathBuf> {
    let places = [format!("{name}-{LLVM}"), format!("/usr/lib/llvm-{LLVM}/bin/{name}"), name.to_owned()];
    places.into_iter().map(PathBuf::from).find(|program| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(&format!("version {LLVM}.")))
    })
}

fn sources() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../asm/tests/objects"))
}

fn check(object: &Path) {
    let objdump = tool("llvm-objdump").expect("the test runs where it is");
    let theirs =
        Command::new(objdump).args(["-d", "--no-show-raw-insn"]).arg(object).output().expect("it runs");
    assert!(theirs.status.success(), "{theirs:?}");
    let ours = done(&["disasm", object.to_str().expect("UTF-8"), "--syntax", "llvm"], b"");
    let (ours, theirs) = (instructions(&ours), instructions(&theirs.stdout));
    assert!(theirs.len() > 2, "llvm-objdump showed nothing of {}", object.display());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "{}", object.display());
    }
    assert_eq!(ours.len(), theirs.len(), "{}", object.display());
}

/// Every object that crates/asm keeps: of clang for each version of the instruction set and both byte orders, of
/// llvm-mc, and of rustc with bpf-linker; and one of our own.
fn objects_read_as_llvm_objdump_prints_them() {
    let mut objects = 0;
    for entry in std::fs::read_dir(sources()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "o") {
            check(&path);
            objects += 1;
        }
    }
    assert!(objects >= 8, "only {objects} objects");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ours = folder.path().join("ours.o");
    let text = b"mov r0, 0\njeq r0, 0, out\nlddw r1, 0x1122334455667788\nout: exit\n";
    let ended = weir(&["asm", "-", "-o", ours.to_str().expect("UTF-8")], text);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    check(&ours);
}

fn what_this_machines_clang_compiles_reads_the_same() {
    let clang = tool("clang").expect("the test runs where it is");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (cpu, optimised, defines) in [
        ("v1", "-O2", &[][..]),
        ("v2", "-O1", &[]),
        ("v3", "-Os", &["-DATOMICS"]),
        ("v4", "-O2", &["-DATOMICS", "-DSIGNED_DIVISION"]),
    ] {
        for target in ["bpfel", "bpfeb"] {
            let object = folder.path().join(format!("{cpu}-{target}.o"));
            let compiled = Command::new(&clang)
                .args(["-target", target, optimised, &format!("-mcpu={cpu}"), "-w"])
                .args(defines)
                .arg("-c")
                .arg(sources().join("forms.c"))
                .arg("-o")
                .arg(&object)
                .output()
                .expect("clang runs");
            assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
            check(&object);
        }
    }
}
