//! Text to bytes to instructions to text and back.

mod forms;

use forms::{endian, insn, slot};
use proptest::prelude::*;
use weir_asm::{Code, Endian, Insn, decode, show::fun, text::assemble_code};

fn assembled(text: &str) -> Code {
    assemble_code(text.as_bytes())
        .unwrap_or_else(|errors| panic!("{}\n{text}", errors.display("shown", text.as_bytes())))
}

/// Shows, reads again, and compares bytes and text.
fn check(code: &Code) {
    let text = fun::code(code).to_string();
    let again = assembled(&text);
    let bytes = |code: &Code| code.encode(Endian::Little).expect("it encodes");
    assert_eq!(bytes(&again), bytes(code), "{text}");
    assert_eq!(fun::code(&again).to_string(), text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_form_survives_its_text(insns in prop::collection::vec(insn(), 1..20)) {
        let code: Code = insns.iter().copied().collect();
        check(&code);
        let again = assembled(&fun::code(&code).to_string());
        prop_assert_eq!(again.insns(), &insns[..]);
    }

    #[test]
    fn any_bytes_that_decode_survive_their_text(slots in prop::collection::vec(slot(), 0..8), endian in endian()) {
        if let Ok(code) = decode(&slots.concat(), endian) {
            check(&code);
            let again = assembled(&fun::code(&code).to_string());
            prop_assert_eq!(again.encode(endian).expect("it encodes"), slots.concat());
        }
    }

    #[test]
    fn raw_slots_survive_their_text(raws in prop::collection::vec(any::<u64>(), 0..8)) {
        check(&raws.into_iter().map(Insn::Raw).collect());
    }

    #[test]
    fn labels_for_distances_leave_the_bytes_alone(insns in prop::collection::vec(insn(), 1..20)) {
        let code: Code = insns.into_iter().collect();
        let text = fun::code_with_labels(&code).to_string();
        let again = assembled(&text);
        prop_assert_eq!(
            again.encode(Endian::Little).expect("it encodes"),
            code.encode(Endian::Little).expect("it encodes"),
            "{}", text
        );
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ -~\n\r\t\u{0}é]{0,200}") {
        // Whatever comes of it, it is an answer.
        let read = assemble_code(text.as_bytes());
        if let Ok(code) = read {
            prop_assert!(code.len() <= text.lines().count());
        }
    }

    #[test]
    fn no_words_of_the_language_make_the_reader_panic(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..60)
    ) {
        let text = words.join(" ");
        for errors in [
            assemble_code(text.as_bytes()).err(),
            weir_asm::text::assemble("t", text.as_bytes()).err(),
        ].into_iter().flatten() {
            for error in &errors {
                prop_assert!(error.span.start <= error.span.end && error.span.end as usize <= text.len());
                prop_assert!(text.is_char_boundary(error.span.start as usize));
            }
        }
    }
}

const WORDS: &[&str] = &[
    "mov",
    "add32",
    "lddw",
    "lmap",
    "ldxdw",
    "stxb",
    "lock",
    "fetch",
    "xchg",
    "jeq",
    "ja",
    "call",
    "helper",
    "local",
    "exit",
    "r0",
    "%r1",
    "r10",
    "r11",
    "[",
    "]",
    "(",
    ")",
    "+",
    "-",
    ",",
    ":",
    "=",
    "8",
    "0xffffffff",
    "-1",
    "18446744073709551615",
    "name",
    "name.field",
    ".equ",
    ".slot",
    ".struct",
    ".map",
    ".program",
    ".license",
    ".raw",
    "hash",
    "key",
    "value",
    "entries",
    "u32",
    "u8",
    "{",
    "}",
    "\"text\"",
    "\n",
    "\n",
    "\n",
    "; x\n",
    "map_val",
    "map_by_fd",
    "code_addr",
    "align",
    "$",
    "é",
];

#[test]
fn labels_keep_their_names_and_get_other_ones_where_they_clash() {
    use weir_asm::{Reg::*, op::*};
    let piece = || {
        let mut code = Code::new();
        let out = code.label("out");
        code += jne(R0, 0, out);
        code += mov(R0, 1);
        code.place(out).expect("it has no place yet");
        code
    };
    let mut both = piece();
    both.append(&piece());
    both += exit();
    let want = "    jne r0, 0, out\n    mov r0, 1\nout:\n    jne r0, 0, L0\n    mov r0, 1\nL0:\n    exit\n";
    assert_eq!(fun::code(&both).to_string(), want);
    check(&both);
}

#[test]
fn names_that_would_not_be_read_again_are_replaced() {
    use weir_asm::op::*;
    let mut code = Code::new();
    for name in ["r3", "two words", "", "L0", "7"] {
        let label = code.label(name);
        code.place(label).expect("it has no place yet");
        code += ja(label);
    }
    check(&code);
}

#[test]
fn distances_become_labels_where_asked() {
    let code = assembled("jeq r1, 0, +3\nlddw r2, 1\nja -4\nexit\nja +100");
    let want = "L1:\n    jeq r1, 0, L0\n    lddw r2, 1\n    ja L1\nL0:\n    exit\n    ja +100\n";
    assert_eq!(fun::code_with_labels(&code).to_string(), want);
}
