//! What `check` says of programs that the kernel would refuse.

use weir_asm::{Code, Insn, ProblemKind, Severity, check, text::assemble_code};

fn code(text: &str) -> Code {
    assemble_code(text.as_bytes()).unwrap_or_else(|errors| panic!("{}", errors.display("t", text.as_bytes())))
}

/// All problems as `index: message`.
#[track_caller]
fn problems(text: &str, want: &[&str]) {
    let have: Vec<_> = check(&code(text))
        .into_iter()
        .map(|problem| format!("{}: {}", problem.index, problem.kind))
        .collect();
    assert_eq!(have, want, "{text}");
}

#[test]
fn sound_programs_have_no_problem() {
    for text in [
        "mov r0, 0\nexit",
        "a: jeq r1, 0, b\nlddw r2, 1\nsub r1, 1\nja a\nb: exit",
        "call f\nexit\nf: mov r0, 1\nexit",
        "lddw r1, code_addr(f)\nexit\nf: exit",
        "ja32 +0\nexit",
        "stdw [r10-8], 0\nstb [r10-511], 0\nldxb r0, [r10-512]\nlock add [r10-8], r1\nexit",
        "rsh r0, 63\nlsh32 r0, 31\ndiv r0, 1\nmod32 r0, -1\nexit",
        "lock cmpxchg [r1], r10\nstxdw [r1], r10\nexit",
        ".raw 0x0000000700000018\n.raw 0\n.raw 0x95",
        "exit\nend:",
    ] {
        problems(text, &[]);
    }
}

#[test]
fn r10_is_never_written() {
    let message = "it writes r10, which can only be read";
    for writes in [
        "mov r10, 1",
        "neg r10",
        "be16 r10",
        "lddw r10, 1",
        "ldxw r10, [r1]",
        "ldxsb r10, [r1]",
        "movsx864 r10, r1",
        "lock fetch add [r1], r10",
        "lock xchg [r1], r10",
    ] {
        problems(&format!("{writes}\nexit"), &[&format!("0: {message}")]);
    }
}

#[test]
fn jumps_stay_inside_the_program_and_out_of_immediates() {
    problems("jeq r1, 0, +2\nmov r0, 0\nexit", &["0: it goes to slot 3, and the program has slots 0 to 2"]);
    problems("jeq r1, 0, -2\nexit", &["0: it goes to slot -1, and the program has slots 0 to 1"]);
    problems("jeq r1, 0, end\nexit\nend:", &["0: it goes to slot 2, and the program has slots 0 to 1"]);
    problems(
        "jeq r1, 0, +1\nlddw r1, 1\nexit",
        &["0: it goes to slot 2, the second half of a 64-bit immediate"],
    );
    problems(
        "jeq r1, 0, +1\n.raw 0x0000000700000118\n.raw 0\nexit",
        &["0: it goes to slot 2, the second half of a 64-bit immediate"],
    );
    problems("call local +7\nexit", &["0: it goes to slot 8, and the program has slots 0 to 1"]);
    problems("lddw r1, code_addr(+5)\nexit", &["0: it goes to slot 6, and the program has slots 0 to 2"]);
}

#[test]
fn jumps_reach_as_far_as_their_field() {
    let far = "mov r0, 0\n".repeat(32_768);
    problems(
        &format!("jeq r1, 0, end\n{far}end: exit"),
        &["0: it goes 32768 slots, and 16 bits reach from -32768 to 32767"],
    );
    problems(&format!("jeq r1, 0, +1\ngotol end\n{far}end: exit"), &[]);
}

#[test]
fn programs_end() {
    problems("mov r0, 0", &["0: the program goes on behind its last instruction"]);
    problems("jeq r0, 0, -1", &["0: the program goes on behind its last instruction"]);
    problems("call 1", &["0: the program goes on behind its last instruction"]);
    problems("a: mov r0, 1\nja a", &["1: no `exit` is ever reached"]);
    problems("", &[]);
}

#[test]
fn every_instruction_can_be_reached() {
    problems("exit\nmov r0, 1\nmov r0, 2\nexit", &["1: nothing leads here"]);
    problems("ja +1\nmov r0, 1\nexit", &["1: nothing leads here"]);
    problems("exit\nf: exit", &["1: nothing leads here"]);
}

#[test]
fn functions_keep_to_themselves() {
    problems("call f\nmov r0, 1\nf: exit", &["1: the function goes on into the next one"]);
    problems("call f\njeq r0, 1, g\nexit\nf: mov r0, 1\ng: exit", &["1: it jumps into another function"]);
}

#[test]
fn the_stack_has_512_bytes_below_r10() {
    let message = "are not within the stack, r10 + -512 to r10";
    for (access, off, size) in [
        ("ldxb r0, [r10]", 0, 1),
        ("stw [r10-2], 0", -2, 4),
        ("stxdw [r10-520], r1", -520, 8),
        ("ldxsw r0, [r10-516]", -516, 4),
        ("lock add32 [r10+4], r1", 4, 4),
    ] {
        problems(&format!("{access}\nexit"), &[&format!("0: {size} bytes at r10 + {off} {message}")]);
    }
    problems("stdw [r10-12], 0\nexit", &["0: 8 bytes at r10 + -12 are not aligned to 8"]);
}

#[test]
fn functions_share_the_stack() {
    let chain = |own, called| {
        format!(
            "stb [r10-{own}], 0\ncall f\nexit\nf: stb [r10-{called}], 0\ncall g\nexit\ng: mov r0, 0\nexit"
        )
    };
    problems(&chain(256, 240), &[]);
    problems(
        &chain(256, 241),
        &["1: this call and what called it take 528 bytes of stack, and there are 512"],
    );
    problems("call f\nexit\nf: call f\nexit", &["2: it calls a function that it is called from"]);
}

#[test]
fn shifts_and_divisions_make_sense() {
    problems("lsh r0, 64\nexit", &["0: it shifts 64 bits by 64"]);
    problems("arsh32 r0, 32\nexit", &["0: it shifts 32 bits by 32"]);
    problems("rsh r0, -1\nexit", &["0: it shifts 64 bits by -1"]);
    for op in ["div", "sdiv32", "mod", "smod32"] {
        problems(&format!("{op} r0, 0\nexit"), &["0: it divides by 0"]);
    }
}

#[test]
fn raw_slots_are_instructions() {
    problems(".raw 0xff\nexit", &["0: no instruction has the opcode 0xff"]);
    problems(".raw 0x0000000100000095\nexit", &["0: the immediate field of opcode 0x95 is 1, and must be 0"]);
    problems(".raw 0x0b07\nexit", &["0: there is no register r11"]);
    problems(
        ".raw 0x18\nexit",
        &["0: the second half of a 64-bit immediate has a field besides its immediate set"],
    );
}

#[test]
fn a_call_through_a_register_is_a_warning() {
    let problems = check(&code("callx r1\nexit"));
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].kind, problems[0].severity()), (ProblemKind::CallReg, Severity::Warning));
}

#[test]
fn a_label_without_a_place_is_a_problem() {
    use weir_asm::{Reg::*, op::*};
    let mut code = Code::new();
    let label = code.label("nowhere");
    code += jeq(R1, 0, label);
    code += exit();
    let problems = check(&code);
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["instruction 0: jeq r1, 0, nowhere: its label has no place"]
    );
}

#[test]
fn a_problem_shows_instruction_text_and_line() {
    let problems = check(&code("\n; two\nmov r0, 0\nlsh r0, 99\nexit"));
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["instruction 1, line 4: lsh r0, 99: it shifts 64 bits by 99"]);
}

#[test]
fn long_programs_of_problems_are_checked_without_delay() {
    let code: Code = std::iter::repeat_n(Insn::Raw(0xff), 1_000_000).collect();
    assert_eq!(check(&code).len(), 50);
    let deep: String = (0..100_000).map(|n| format!("f{n}: call f{}\nexit\n", n + 1)).collect();
    assert!(!check(&self::code(&format!("{deep}f100000: exit"))).is_empty(), "too much stack");
}
