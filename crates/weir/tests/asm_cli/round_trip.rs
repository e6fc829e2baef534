//! Text to object to text and back, and what llvm-objdump printed.

use crate::{
    Test,
    running::{done, weir},
};

pub(crate) const TESTS: &[Test] = &[
    ("an_object_disassembled_assembles_to_the_same_instructions", an_object_assembles_to_the_same),
    ("raw_instructions_go_to_text_and_back", raw_instructions_go_to_text_and_back),
    ("a_fragment_becomes_the_instructions_that_it_is", a_fragment_becomes_the_instructions_that_it_is),
    ("objects_read_as_llvm_objdump_printed_them", objects_read_as_llvm_objdump_printed_them),
    ("the_example_of_a_text_from_a_pipe_works", the_example_of_a_text_from_a_pipe_works),
    ("a_file_is_written_whole_or_not_at_all", a_file_is_written_whole_or_not_at_all),
];

const COUNTING: &str = "\
.license \"GPL\"
.map counter percpu_array key=u32 value=u64 entries=1
.program count \"socket\"
    stw [r10 + -4], 0
    mov r2, r10
    add r2, -4
    lmap r1, counter
    call map_lookup_elem
    jeq r0, 0, out
    ldxdw r1, [r0]
    add r1, 1
    stxdw [r0], r1
out:
    mov r0, -1
    exit
";

/// As it stands in the help, in a shell, up to the program that shows the bytes.
fn the_example_of_a_text_from_a_pipe_works() {
    let help = String::from_utf8(done(&["asm", "--help"], b"")).expect("UTF-8");
    let example = help.lines().find_map(|line| line.trim().strip_suffix(" | xxd")).expect("an example");
    let example = example.replace("weir", env!("CARGO_BIN_EXE_weir"));
    let ended = std::process::Command::new("sh").args(["-c", &example]).output().expect("sh starts");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout.len(), 16, "two instructions: {ended:?}");
}

fn an_object_assembles_to_the_same() {
    for endian in ["little", "big"] {
        let assemble = |text: &[u8]| done(&["asm", "-", "--endian", endian], text);
        let first = assemble(COUNTING.as_bytes());
        let text = done(&["disasm", "-", "--text"], &first);
        let second = assemble(&text);
        for syntax in ["fun", "llvm"] {
            let shown = |object: &[u8]| done(&["disasm", "-", "--notes", "--syntax", syntax], object);
            assert_eq!(shown(&first), shown(&second));
        }
        assert_eq!(text, done(&["disasm", "-", "--text"], &second));
    }
}

fn a_fragment_becomes_the_instructions_that_it_is() {
    let (fragment, end) = ("lmfd r1, 5\nadd r0, r1\njeq r0, 0, +9\n", "mov r0, 0\nexit\n");
    let part = done(&["asm", "-", "--fragment"], fragment.as_bytes());
    let whole = done(&["asm", "-", "--raw"], (fragment.replace("+9", "+1") + end).as_bytes());
    assert_eq!(part.len(), 32);
    assert_eq!((&part[..24], part[28..].to_vec()), (&whole[..24], whole[28..32].to_vec()));
    weir(&["asm", "-"], fragment.as_bytes()).check(1, &["the program goes on behind its last instruction"]);
    weir(&["asm", "-", "--fragment"], b"lsh r0, 64\n").check(1, &["it shifts 64 bits by 64"]);
    // As with --raw, the place of a map's descriptor is left for a loader to fill in, which is said.
    weir(&["asm", "-", "--fragment", "-o", "/dev/null"], b"lmap r1, counts\n")
        .check(0, &["map counts has descriptor 0"]);
    let map = done(&["asm", "-", "--fragment"], b"lmap r1, counts\n");
    assert_eq!(map, done(&["asm", "-", "--fragment"], b"lmfd r1, 0\n"));
    weir(&["asm", "-", "--fragment", "--elf"], b"").check(2, &["--elf"]);
    let said = done(&["check", "-", "--fragment"], fragment.as_bytes());
    assert_eq!(said, b"a fragment: 3 instructions in 4 slots, no error found\n");
    weir(&["check", "-", "--fragment"], b"mov r10, 1\n").check(1, &["it writes r10"]);
}

fn raw_instructions_go_to_text_and_back() {
    let text = "mov r1, 5\nlddw r2, 0x1122334455667788\nmov r0, 0\njeq r1, 5, +1\nmov r0, 1\nexit\n";
    let raw = done(&["asm", "-", "--raw"], text.as_bytes());
    assert_eq!(raw.len(), 8 * 7);
    let shown = String::from_utf8(done(&["disasm", "-", "--raw"], &raw)).expect("it is text");
    let lines: Vec<_> = shown.lines().map(|line| line.split_once(": ").expect("index: text")).collect();
    assert_eq!(lines.iter().map(|(index, _)| *index).collect::<Vec<_>>(), ["0", "1", "3", "4", "5", "6"]);
    let again: String = lines.iter().map(|(_, text)| format!("{text}\n")).collect();
    assert_eq!(done(&["asm", "-", "--raw"], again.as_bytes()), raw);
}

/// The listings that crates/asm keeps, by the llvm-objdump that is named in its make.sh.
fn objects_read_as_llvm_objdump_printed_them() {
    let objects = concat!(env!("CARGO_MANIFEST_DIR"), "/../asm/tests/objects");
    for name in ["forms-v2", "forms-v3", "forms-v4", "forms-be", "count-filter", "robust-valid-command"] {
        let shown = done(&["disasm", &format!("{objects}/{name}.o"), "--syntax", "llvm"], b"");
        let theirs = std::fs::read(format!("{objects}/{name}.txt")).expect("the listing");
        assert_eq!(instructions(&shown), instructions(&theirs), "{name}");
    }
}

/// The lines without the blanks between an index and its text.
pub(crate) fn instructions(listing: &[u8]) -> Vec<String> {
    let listing = String::from_utf8_lossy(listing).replace(":\t", ": ");
    let lines = listing.lines().skip_while(|line| !line.starts_with("Disassembly"));
    lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

fn a_file_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("out.o");
    let path = out.to_str().expect("a path in ASCII");
    weir(&["asm", "-", "-o", path], b"nonsense\n").check(1, &["unknown mnemonic"]);
    assert!(!out.exists());
    done(&["asm", "-", "-o", path], COUNTING.as_bytes());
    assert_eq!(std::fs::read(&out).expect("it is there"), done(&["asm", "-"], COUNTING.as_bytes()));
}
