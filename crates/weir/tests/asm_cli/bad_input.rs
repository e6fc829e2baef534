//! Wrong input: what is said, and the exit status.

use crate::{Test, running::weir};

pub(crate) const TESTS: &[Test] = &[
    ("wrong_texts_are_refused_in_their_lines", wrong_texts_are_refused_in_their_lines),
    ("every_error_of_a_text_is_one_json_object_a_line", every_error_is_one_json_object_a_line),
    ("lines_that_end_as_on_windows_are_read", lines_that_end_as_on_windows_are_read),
    ("bytes_that_are_no_program_are_refused", bytes_that_are_no_program_are_refused),
    ("files_that_cannot_be_read_are_named", files_that_cannot_be_read_are_named),
    ("objects_that_text_cannot_hold_are_no_text", objects_that_text_cannot_hold_are_no_text),
    ("objects_that_contradict_themselves_are_refused", objects_that_contradict_themselves_are_refused),
    ("names_in_objects_act_on_no_terminal", names_in_objects_act_on_no_terminal),
    ("data_that_is_no_hex_is_a_usage_error", data_that_is_no_hex_is_a_usage_error),
];

fn wrong_texts_are_refused_in_their_lines() {
    let check = |text: &str, parts: &[&str]| {
        for command in ["asm", "check", "disasm", "dump", "run"] {
            weir(&[command, "-"], text.as_bytes()).check(1, parts);
        }
    };
    check("", &["there is no instruction in it"]);
    check("mov r0, 1\n", &["<stdin>:1:1", "goes on behind its last", "^^^^^^^^^", "exit"]);
    check("movv r0, 1\nexit\n", &["unknown mnemonic 'movv'", "did you mean 'mov'?", "^^^^"]);
    check("mov r0\nexit\n", &["<stdin>:1:7", "missing operand"]);
    check("mov r11, 0\nexit\n", &["no register 'r11'"]);
    check("mov r0, 5000000000\nexit\n", &["does not fit 32 bits"]);
    check("ja +5\nexit\n", &["goes to slot 6"]);
    check("x: mov r0, 0\nx: exit\n", &["second label 'x'", "the first"]);
    check("ja nowhere\nexit\n", &["no label is named 'nowhere'"]);
    check(".slot big 600\nmov r0, 0\nexit\n", &["600 bytes"]);
}

fn every_error_is_one_json_object_a_line() {
    let ended = weir(&["asm", "-", "--json"], b"movv r0, 1\nmov r11, 0\nexit\n");
    let places: Vec<_> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("it is JSON"))
        .map(|found| {
            (found["kind"].clone(), found["file"].clone(), found["line"].clone(), found["column"].clone())
        })
        .collect();
    let at = |line, column| ("error".into(), "<stdin>".into(), line, column);
    assert_eq!(places, [at(1.into(), 1.into()), at(2.into(), 5.into())]);
    let missing = weir(&["dump", "/nonexistent", "--json"], b"");
    assert_eq!(missing.status, Some(1), "{missing:?}");
    let found: serde_json::Value = serde_json::from_str(&missing.stderr).expect("it is JSON");
    assert_eq!(found["file"], "/nonexistent");
}

fn lines_that_end_as_on_windows_are_read() {
    assert_eq!(weir(&["check", "-"], b"mov r0, 0\r\nexit\r\n").status, Some(0));
    weir(&["check", "-"], b"mov r0, 0\r\nexitt\r\n").check(1, &["<stdin>:2:1", "did you mean 'exit'?"]);
}

/// Objects of other people's making.
const STRANGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../asm/tests/objects/strange");

fn objects_that_text_cannot_hold_are_no_text() {
    let strange = |name: &str| format!("{STRANGE}/{name}.o");
    weir(&["disasm", "--text", &strange("core2")], b"").check(1, &["core2.o has CO-RE relocations"]);
    weir(&["disasm", "--text", &strange("pinned")], b"").check(1, &["pinned (counts)"]);
    assert_eq!(weir(&["disasm", &strange("core2")], b"").status, Some(0));
}

fn objects_that_contradict_themselves_are_refused() {
    for name in ["sym_big", "sym_oob"] {
        for command in ["run", "check", "disasm", "dump"] {
            weir(&[command, &format!("{STRANGE}/{name}.o")], b"")
                .check(1, &["symbol \"prog\"", "leave its section"]);
        }
    }
}

fn names_in_objects_act_on_no_terminal() {
    let object = format!("{STRANGE}/secesc.o");
    for command in
        [&["disasm"][..], &["check"], &["dump"], &["run", "--program", "\x1b[2J"], &["disasm", "--json"]]
    {
        let ended = weir(&[command, &[&object]].concat(), b"");
        let said = [ended.stdout, ended.stderr.into_bytes()].concat();
        let acts = |byte: &u8| byte.is_ascii_control() && !b"\n\t".contains(byte);
        assert!(!said.iter().any(acts), "{command:?}: {}", String::from_utf8_lossy(&said).escape_debug());
        assert!(!said.is_empty(), "{command:?}");
    }
    weir(&["run", &object], b"").check(1, &["so\\u001b[31mck\\u000anext"]);
}

fn bytes_that_are_no_program_are_refused() {
    weir(&["asm", "-"], b"mov r0, \xff\nexit\n").check(1, &["no UTF-8 text", "--raw"]);
    weir(&["disasm", "-", "--raw"], &[0xff; 8]).check(1, &["slot 0", "0xff"]);
    weir(&["disasm", "-", "--raw"], &[0; 7]).check(1, &["7 bytes"]);
    weir(&["disasm", "-", "--raw"], b"").check(1, &["no instruction in it"]);
    let object = weir(&["asm", "-"], b"mov r0, 0\nexit\n").stdout;
    for len in [4, 20, 64, object.len() / 2, object.len() - 1] {
        weir(&["disasm", "-"], &object[..len]).check(1, &["<stdin>: reading the ELF file"]);
    }
    // Whatever a byte becomes, the command ends with a status of its own.
    for at in 0..object.len().min(400) {
        let mut hostile = object.clone();
        hostile[at] ^= 0xff;
        let ended = weir(&["disasm", "-"], &hostile);
        assert!(
            matches!(ended.status, Some(0 | 1)) && !ended.stderr.contains("panicked"),
            "byte {at}: {ended:?}"
        );
    }
}

fn files_that_cannot_be_read_are_named() {
    for command in ["asm", "check", "disasm", "dump", "run"] {
        weir(&[command, "/nonexistent"], b"").check(1, &["reading /nonexistent", "No such file"]);
        weir(&[command, "/"], b"").check(1, &["reading /", "Is a directory"]);
    }
}

fn data_that_is_no_hex_is_a_usage_error() {
    let check = |data: &str, part: &str| {
        weir(&["run", "-", "--data", data], b"mov r0, 0\nexit\n")
            .check(2, &["--data", part, "two digits a byte"]);
    };
    check("xyz", "'x' is no hexadecimal digit");
    check("123", "3 digits");
}
