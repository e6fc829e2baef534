//! The assembler's commands through the binary: what they print, how they say what is wrong, exit statuses.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const PROGRAM: &str = "\
.program drop_short socket
  ldxw r2, [r1 + 0]
  jlt r2, 9, drop
  mov r0, -1
  exit
drop:
  mov r0, 0
  exit
";

struct Ended {
    status: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Ended {
    fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("text")
    }
}

/// Runs `weir` with `input` on its standard input.
fn weir(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that refuses its arguments never reads.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    Ended { status: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

/// `weir check` refuses `input` and says all of `parts`.
fn check_refused(input: &[u8], parts: &[&str]) {
    let ended = weir(&["check", "-"], input);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "no '{part}' in: {}", ended.stderr);
    }
}

#[test]
fn text_becomes_elf_and_reads_the_same_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let object = folder.path().join("program.o");
    let object = object.to_str().expect("UTF-8");
    let assembled = weir(&["asm", "-", "-o", object], PROGRAM.as_bytes());
    assert_eq!(assembled.status, Some(0), "{}", assembled.stderr);

    let fun = weir(&["disasm", object], b"").text();
    for line in
        ["0: ldxw r2, [r1]", "1: jlt r2, 9, +2", "2: mov r0, -1", "3: exit", "4: mov r0, 0", "5: exit"]
    {
        assert!(fun.lines().any(|shown| shown.trim() == line), "no '{line}' in:\n{fun}");
    }
    let llvm = weir(&["disasm", "--syntax", "llvm", object], b"").text();
    for line in ["0: w2 = *(u32 *)(r1 + 0x0)", "2: r0 = -0x1"] {
        assert!(llvm.lines().any(|shown| shown.trim() == line), "no '{line}' in:\n{llvm}");
    }
}

#[test]
fn raw_bytes_survive_both_ways() {
    let list = b"mov r0, 7\nexit\n";
    let raw = weir(&["asm", "--raw", "-"], list);
    assert_eq!(raw.stdout, [0xb7, 0, 0, 0, 7, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0], "{}", raw.stderr);
    let shown = weir(&["disasm", "--raw", "-"], &raw.stdout).text();
    assert!(shown.contains("0: mov r0, 7") && shown.contains("1: exit"), "{shown}");
}

#[test]
fn a_dump_is_a_tree_in_json() {
    let dumped = weir(&["dump", "--json", "-"], PROGRAM.as_bytes()).text();
    let tree: Value = serde_json::from_str(&dumped).expect("JSON");
    assert_eq!(tree["programs"][0]["name"], "drop_short");
    assert_eq!(tree["programs"][0]["instructions"].as_array().map(Vec::len), Some(6));
}

#[test]
fn every_mistake_of_a_file_is_shown_with_its_line() {
    check_refused(
        b"mov r0, 0\nlxdw r1, [r2+4]\nmov r11, 3\njeq r1, 2, nowhere\nmov r1\nexit\n",
        &[
            "unknown mnemonic 'lxdw'",
            "did you mean 'ldxw'?",
            ":2:1",
            "r11",
            ":3:5",
            "nowhere",
            ":4:12",
            ":5:",
        ],
    );
}

#[test]
fn files_that_are_no_programs_are_refused() {
    check_refused(b"", &["error"]);
    check_refused(b"mov r0, 0\n", &["error"]);
    check_refused(b"mov r0, 0\nja +5\nexit\n", &["error", ":2:"]);
    check_refused(b"mov r0, 0x123456789\nexit\n", &["error", ":1:"]);
    check_refused(b"a:\na:\nmov r0, 0\nexit\n", &["error", ":2:"]);
    check_refused(b"mov r0, \xff\xfe\nexit\n", &["error"]);
    check_refused(b"\x7fELF\x02\x01\x01", &["reading the ELF file"]);
}

#[test]
fn windows_line_ends_are_line_ends() {
    let ended = weir(&["check", "-"], b"mov r0, 0\r\nexit\r\n");
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn json_mistakes_are_one_object_a_line() {
    let ended = weir(&["check", "--json", "-"], b"lxdw r1, [r2]\nmov r11, 3\nexit\n");
    assert_eq!(ended.status, Some(1));
    let lines: Vec<Value> = ended
        .text()
        .lines()
        .chain(ended.stderr.lines())
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    assert!(lines.len() >= 2, "{lines:?}");
    assert_eq!(lines[0]["line"], 1);
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    for path in ["/nonexistent/program.s", "/"] {
        let ended = weir(&["check", path], b"");
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(path), "{}", ended.stderr);
    }
}
