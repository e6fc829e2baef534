//! What is said of a text that is wrong: where, what, and what to do.

use weir_asm::{
    Diagnostics, LineColumn,
    text::{assemble, assemble_code, assemble_fragment},
};

fn errors(text: &[u8]) -> Diagnostics {
    match assemble_code(text) {
        Ok(code) => panic!("{} was assembled: {code:?}", text.escape_ascii()),
        Err(errors) => errors,
    }
}

/// The first error of a list of instructions: the text that it points at, its message, and its help.
#[track_caller]
fn check(text: &str, (at, message, help): (&str, &str, &str)) {
    let errors = errors(text.as_bytes());
    let error = errors.iter().next().expect("an error");
    assert_eq!(
        (&text[error.span.range()], &*error.message, error.help.as_deref().unwrap_or_default()),
        (at, message, help)
    );
}

/// Every error of a file, one line each.
#[track_caller]
fn check_file(text: &str, wanted: &[&str]) {
    let errors = assemble("t", text.as_bytes()).expect_err("it is wrong");
    let shown = errors.display("t", text.as_bytes()).to_string();
    let lines: Vec<_> = shown.lines().filter(|line| !line.starts_with("    help")).collect();
    assert_eq!(lines, wanted, "{shown}");
}

#[test]
fn an_unknown_mnemonic_suggests_the_nearest() {
    check("lxdw r0, [r1]", ("lxdw", "unknown mnemonic 'lxdw'", "did you mean 'ldxw'?"));
    check("mvo r0, 1", ("mvo", "unknown mnemonic 'mvo'", "did you mean 'mov'?"));
    check("jeq33 r0, 1, +1", ("jeq33", "unknown mnemonic 'jeq33'", "did you mean 'jeq32'?"));
    check("frobnicate r0", ("frobnicate", "unknown mnemonic 'frobnicate'", ""));
    check("lock ad [r10-8], r1", ("ad", "unknown atomic operation 'ad'", "did you mean 'add'?"));
    check(".mpa a hash", (".mpa", "unknown directive '.mpa'", "did you mean '.map'?"));
}

#[test]
fn a_missing_operand_is_named() {
    let help = "'add' takes a register, then a register or a number";
    check("add r0", ("", "missing operand: expected a register or a number", help));
    check("add r0, ; nothing\nexit", ("", "missing operand: expected a register or a number", help));
    check(
        "jeq r0, 1",
        (
            "",
            "missing operand: expected a label or a distance",
            "'jeq' takes a register, a register or a number, then a label or a distance such as +3",
        ),
    );
    check("exit r0", ("r0", "there is more than 'exit' takes", "'exit' takes nothing"));
}

#[test]
fn operands_of_the_wrong_kind_are_pointed_at() {
    let help = "'mov' takes a register, then a register or a number";
    check("mov 1, r0", ("1", "expected a register", help));
    check("mov r0, [r1]", ("[", "expected a register or a number", help));
    let help = "'ldxw' takes a register, then memory such as [r1 + 4]";
    check("ldxw r0, r1", ("r1", "expected memory such as [r10 + -8]", help));
    check("ldxw r0, [r1 + 4", ("", "missing operand: expected `]`", help));
    check(
        "stb [r1], r2",
        ("r2", "expected a number", "'stb' takes memory such as [r10 + -8], then a number"),
    );
}

#[test]
fn registers_end_with_r10() {
    let help = "'mov' takes a register, then a register or a number";
    check("mov r11, 1", ("r11", "there is no register 'r11': they are r0 to r10", help));
    check("mov %r11, 1", ("%r11", "there is no register 'r11': they are r0 to r10", help));
    check("mov r0, r99", ("r99", "there is no register 'r99': they are r0 to r10", help));
    check("mov r01, 1", ("r01", "there is no register 'r01': they are r0 to r10", help));
    check("r1: exit", ("r1", "'r1' is a register, and no label", ""));
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let help =
        "decimals reach from -2147483648 to 2147483647 and hexadecimals to 0xffffffff; `lddw` takes 64 bits";
    for number in ["2147483648", "-2147483649", "0x100000000", "-0x80000001", "4294967295"] {
        check(&format!("mov r0, {number}"), (number, "this number does not fit 32 bits", help));
    }
    let message = "this number takes more than 64 bits";
    check("lddw r0, 0x1ffffffffffffffff", ("0x1ffffffffffffffff", message, "expected a number"));
    check("lddw r0, 18446744073709551616", ("18446744073709551616", message, "expected a number"));
    check("lddw r0, -9223372036854775809", ("-9223372036854775809", "this number does not fit 64 bits", ""));
    let help = "-32768 to 32767 fit; add the rest to the register";
    check("ldxw r0, [r1 + 32768]", ("+ 32768", "the offset 32768 does not fit 16 bits", help));
    check("ja +32768", ("+32768", "this distance does not fit 16 bits", "`gotol` reaches further"));
    check("mov r0, 12ab", ("12ab", "this is neither a number nor a name", "expected a register or a number"));
    check("mov r0, 0x", ("0x", "this is neither a number nor a name", "expected a register or a number"));
}

#[test]
fn names_that_stand_for_nothing_suggest_the_nearest() {
    check(
        ".equ LIMIT, 5\nmov r0, LIMT",
        ("LIMT", "no constant and no stack slot is named 'LIMT'", "did you mean 'LIMIT'?"),
    );
    check("done: ja doen", ("doen", "no label is named 'doen'", "did you mean 'done'?"));
    check("ja exit", ("exit", "a jump to `exit`, and the program has none", ""));
    check(
        "call map_lokup_elem",
        (
            "map_lokup_elem",
            "neither a helper nor a label is named 'map_lokup_elem'",
            "did you mean 'map_lookup_elem'?",
        ),
    );
    check(
        "call helper map_lokup_elem",
        ("map_lokup_elem", "no helper is named 'map_lokup_elem'", "did you mean 'map_lookup_elem'?"),
    );
    check(".slot s u33", ("u33", "unknown type 'u33'", "did you mean 'u32'?"));
    check("lddw r1, map_vall(m)", ("map_vall", "'map_vall' gives no address", "did you mean 'map_val'?"));
}

#[test]
fn what_is_given_twice_shows_the_first_place_too() {
    for (text, first) in [
        ("a: exit\na: exit", 0..1),
        (".equ A, 1\n.equ A, 2", 5..6),
        (".slot s u32\n.equ s, 2", 6..7),
        (".license GPL\n.license MIT", 9..12),
        (".struct s { a: u8, a: u8 }", 12..13),
    ] {
        let errors = errors(text.as_bytes());
        let error = errors.iter().next().expect("an error");
        let (span, _) = error.related.as_ref().expect("the first place");
        assert_eq!(span.range(), first, "{text}");
    }
}

#[test]
fn slots_end_with_512_bytes() {
    check(
        ".slot a u64[63]\n.slot b u8[9]\nexit",
        ("b", "'b' takes 9 bytes, and 8 of the 512 are left", "keep larger things in a percpu_array map"),
    );
    assert!(assemble_code(b".slot a u64[63]\n.slot b u8[8]\nexit").is_ok());
    // An alignment that takes the slot over the end.
    let errors = errors(b".slot a 505\n.slot b u32\n.slot c u32 align=8");
    assert_eq!(errors.iter().count(), 1);
    for text in [".slot a 0", ".slot a -1", ".slot a 513", ".slot a 99999999999", ".slot a u32[0]"] {
        assert!(assemble_code(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn types_that_grow_without_end_are_refused() {
    let mut text = ".struct s0 { a: u64, b: u64 }\n".to_owned();
    for level in 1..200 {
        text += &format!(".struct s{level} {{ a: s{0}, b: s{0} }}\n", level - 1);
    }
    assert!(assemble_code(text.as_bytes()).is_err());
    assert!(assemble_code(b".slot a u8[4294967295][4294967295][4294967295]").is_err());
}

#[test]
fn errors_of_a_file_come_all_at_once_in_order() {
    check_file(
        "start:\n  mov r11, 0\n  ja nowhere\nstart:\n  lddw r1 map_val(counts)\n  exit\n.map m hahs key=u32\n",
        &[
            "t:2:7: error: there is no register 'r11': they are r0 to r10",
            "t:3:6: error: no label is named 'nowhere'",
            "t:4:1: error: a second label 'start'",
            "t:1:1: note: the first",
            "t:5:19: error: no map is named 'counts'",
            "t:7:8: error: unknown kind of map 'hahs'",
        ],
    );
}

#[test]
fn programs_that_the_kernel_would_refuse_are_errors_of_the_file() {
    check_file(
        "mov r0, 1 ; and no more\n",
        &["t:1:1: error: the program goes on behind its last instruction"],
    );
    check_file(
        "  ja +5\n  exit\n",
        &[
            "t:1:3: error: it goes to slot 6, and the program has slots 0 to 1",
            "t:2:3: error: nothing leads here",
        ],
    );
    check_file("a: ja a", &["t:1:1: error: no `exit` is ever reached"]);
}

#[test]
fn a_file_of_nothing_has_no_instruction() {
    for text in ["", "\n\n", "; nothing\r\n", ".license GPL", "\u{feff}"] {
        check_file(text, &["t:1:1: error: there is no instruction in it"]);
        assert_eq!(assemble_code(text.as_bytes()).map(|code| code.len()), Ok(0), "a list may be empty");
    }
    check_file(
        ".program p socket\n.program q xdp\nexit",
        &["t:1:10: error: the program 'p' has no instruction"],
    );
    check_file(".program p\nexit", &["t:1:10: error: a program needs a section, which tells its type"]);
}

#[test]
fn maps_are_checked_for_what_their_kind_needs() {
    let map = |rest: &str| format!(".map m {rest}\nexit");
    for (rest, message) in [
        ("array key=u64 value=u32 entries=1", "the key of an array is its index, 4 bytes"),
        ("prog_array key=u32 value=u64 entries=1", "its values are file descriptors, 4 bytes"),
        ("ringbuf entries=5000", "a ring buffer's entries are bytes: a power of two and whole pages"),
        ("lpm_trie key=u64 value=u8 entries=1", "a trie is not allocated in advance"),
        ("hash key=u32 value=u32", "a map needs entries="),
        ("hash key=u32 value=u32 entries=0", "a map needs entries="),
        ("hash value=u32 entries=1", "the map needs key=, a type"),
        ("ringbuf key=u32 entries=4096", "a ring buffer has no key"),
        ("hash kye=u32", "a map has no 'kye'"),
        ("hash key=u32 key=u32", "'key' is given twice"),
    ] {
        let text = map(rest);
        let errors = assemble("t", text.as_bytes()).expect_err(rest);
        assert_eq!(errors.iter().next().map(|error| &*error.message), Some(message), "{rest}");
    }
}

#[test]
fn bytes_that_are_no_text_are_pointed_at() {
    let errors = errors(b"exit\nmov r0, \xff");
    let error = errors.iter().next().expect("an error");
    assert_eq!(error.message, "this is no UTF-8 text: byte 0xff");
    assert_eq!(LineColumn::of(b"exit\nmov r0, \xff", error.span.start), LineColumn { line: 2, column: 9 });
}

#[test]
fn characters_of_no_meaning_and_open_quotes_are_pointed_at() {
    check("mov r0, é", ("é", "this character means nothing here", "expected a register or a number"));
    check("exit @", ("@", "there is more than 'exit' takes", "'exit' takes nothing"));
    check("exit $x", ("$", "there is more than 'exit' takes", "'exit' takes nothing"));
    check(
        ".license \"GPL\nexit",
        ("\"GPL", "the quote is not closed on its line", "expected a licence such as \"GPL\""),
    );
    check("+ r0", ("+", "expected a label, an instruction or a directive", ""));
}

#[test]
fn columns_count_characters() {
    let text = "; é\nmov r0, é";
    let errors = errors(text.as_bytes());
    assert_eq!(
        errors.display("f", text.as_bytes()).to_string().lines().next(),
        Some("f:2:9: error: this character means nothing here")
    );
}

#[test]
fn no_more_than_fifty_errors_are_kept_of_ten_million_lines() {
    let text = "oops r0, 1\n".repeat(10_000_000);
    let errors = errors(text.as_bytes());
    assert_eq!(errors.iter().count(), Diagnostics::LIMIT);
    assert!(errors.has_more());
    let shown = errors.display("t", text.as_bytes()).to_string();
    assert_eq!(shown.lines().last(), Some("t: there may be more; these are the first 50"));
}

#[test]
fn ten_million_instructions_are_read_and_their_errors_found() {
    let mut text = "add r0, 1\n".repeat(10_000_000);
    assert_eq!(assemble_code(text.as_bytes()).map(|code| code.len()), Ok(10_000_000));
    text += "ja nowhere\n";
    check(&text, ("nowhere", "no label is named 'nowhere'", ""));
}

#[test]
fn a_million_undefined_labels_are_reported_without_delay() {
    let text: String = (0..1_000_000).map(|n| format!("ja l{n}\n")).collect();
    assert_eq!(errors(text.as_bytes()).iter().count(), Diagnostics::LIMIT);
}

#[test]
fn a_fragment_is_wrong_about_its_instructions_alone() {
    let check = |text: &str, wanted: &[&str]| {
        let said: Vec<_> = match assemble_fragment(text.as_bytes()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
        };
        assert_eq!(said, wanted, "{text}");
    };
    check("mov r0, 1", &[]);
    check("jeq r0, 0, end\nja -7\nmov r0, 1\nend:", &[]);
    check("exit\nmov r0, 1\nlmfd r1, 5\ncall 1", &[]);
    check("", &["there is no instruction in it"]);
    check("mov r10, 1\nlsh r0, 64", &["it writes r10, which can only be read", "it shifts 64 bits by 64"]);
    check("ja nowhere", &["no label is named 'nowhere'"]);
    check("lddw r0, 1\nja -2", &["it goes to slot 1, the second half of a 64-bit immediate"]);
}
