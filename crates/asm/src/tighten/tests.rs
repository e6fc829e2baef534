//! Code before and behind it.

use crate::{Code, show, text};

/// Both as the assembler writes them, without labels that nothing leads to.
fn check(before: &[&str], after: &[&str]) {
    let code = |lines: &[&str]| text::assemble_code(lines.join("\n").as_bytes()).expect("it is code");
    let shown = |code: &Code| {
        let text = show::fun::code(code).to_string();
        let is_used = |line: &&str| {
            line.strip_suffix(':').is_none_or(|label| {
                text.contains(&format!(", {label}\n")) || text.contains(&format!("ja {label}\n"))
            })
        };
        text.lines().filter(is_used).collect::<Vec<_>>().join("\n")
    };
    let mut tightened = code(before);
    tightened.tighten();
    assert_eq!(shown(&tightened), shown(&code(after)));
}

#[test]
fn jumps_to_jumps_and_over_jumps_go_where_those_go() {
    check(
        &[
            "jne r1, 1, over",
            "ja out",
            "over:",
            "ja there",
            "out:",
            "mov r0, 2",
            "exit",
            "there:",
            "mov r0, 3",
            "exit",
        ],
        &["jne r1, 1, there", "mov r0, 2", "exit", "there:", "mov r0, 3", "exit"],
    );
    check(
        &["jset r1, 1, over", "ja out", "over:", "mov r0, 2", "exit", "out:", "mov r0, 3", "exit"],
        &["jset r1, 1, over", "mov r0, 3", "exit", "over:", "mov r0, 2", "exit"],
    );
}

#[test]
fn jumps_in_circles_stay() {
    check(&["again:", "jeq r1, 1, end", "ja again", "end:", "exit"], &["again:", "jne r1, 1, again", "exit"]);
    check(
        &["jeq r1, 1, end", "one:", "ja other", "other:", "ja one", "end:", "exit"],
        &["jeq r1, 1, end", "one:", "ja one", "end:", "exit"],
    );
}

#[test]
fn what_is_known_is_not_asked() {
    // Behind the first both ways are known; what is between 3 and 7 is asked again.
    check(
        &[
            "jlt r1, 3, short",
            "jge r1, 3, long",
            "mov r0, 1",
            "exit",
            "short:",
            "jlt r1, 7, end",
            "mov r0, 2",
            "exit",
            "long:",
            "jlt r1, 7, end",
            "mov r0, 3",
            "exit",
            "end:",
            "mov r0, 4",
            "exit",
        ],
        &["jlt r1, 3, end", "jlt r1, 7, end", "mov r0, 3", "exit", "end:", "mov r0, 4", "exit"],
    );
    // A byte is below 256, and its half word isn't known.
    check(
        &[
            "ldxb r0, [r1]",
            "jgt r0, 255, out",
            "ldxh r0, [r1]",
            "jgt r0, 255, out",
            "exit",
            "out:",
            "mov r0, 0",
            "exit",
        ],
        &["ldxh r0, [r1]", "jgt r0, 255, out", "exit", "out:", "mov r0, 0", "exit"],
    );
    // Of a call's result and of what a loop changes nothing is known.
    check(
        &["mov r6, 0", "again:", "jgt r6, 5, end", "add r6, 1", "ja again", "end:", "mov r0, r6", "exit"],
        &["mov r6, 0", "again:", "jgt r6, 5, end", "add r6, 1", "ja again", "end:", "mov r0, r6", "exit"],
    );
    check(
        &["mov r0, 1", "call ktime_get_ns", "jeq r0, 1, end", "mov r0, 2", "end:", "exit"],
        &["call ktime_get_ns", "jeq r0, 1, end", "mov r0, 2", "end:", "exit"],
    );
}

#[test]
fn what_a_register_holds_is_not_loaded_again() {
    check(
        &[
            "ldxw r0, [r1]",
            "and32 r0, 255",
            "jeq r0, 1, one",
            "ldxw r0, [r1]",
            "and32 r0, 255",
            "jeq r0, 2, two",
            "ldxw r0, [r1]",
            "exit",
            "one:",
            "mov r1, r10",
            "ldxw r0, [r1]",
            "exit",
            "two:",
            "stxw [r10 + -8], r0",
            "ldxw r0, [r1]",
            "and32 r0, 255",
            "exit",
        ],
        &[
            "ldxw r0, [r1]",
            "and32 r0, 255",
            "jeq r0, 1, one",
            "jeq r0, 2, two",
            "ldxw r0, [r1]",
            "exit",
            "one:",
            "mov r1, r10",
            "ldxw r0, [r1]",
            "exit",
            "two:",
            "stxw [r10 + -8], r0",
            "ldxw r0, [r1]",
            "and32 r0, 255",
            "exit",
        ],
    );
    // One way has loaded something else.
    let either = [
        "jeq r2, 1, one",
        "ldxw r0, [r1]",
        "jeq r0, 7, out",
        "ja load",
        "one:",
        "ldxw r0, [r1 + 4]",
        "jeq r0, 7, out",
        "load:",
        "ldxw r0, [r1]",
        "out:",
        "exit",
    ];
    check(&either, &either);
}

#[test]
fn what_a_jump_alone_leads_to_stands_behind_it() {
    check(
        &[
            "jeq r1, 1, one",
            "ja two",
            "one:",
            "mov r0, 1",
            "exit",
            "three:",
            "mov r0, 3",
            "exit",
            "two:",
            "mov r0, 2",
            "jeq r1, 3, three",
            "exit",
        ],
        &[
            "jne r1, 1, two",
            "mov r0, 1",
            "exit",
            "three:",
            "mov r0, 3",
            "exit",
            "two:",
            "mov r0, 2",
            "jeq r1, 3, three",
            "exit",
        ],
    );
}

#[test]
fn code_with_functions_and_distances_stays() {
    for text in [
        &["ja +0", "exit"][..],
        &["call function", "ja end", "end:", "exit", "function:", "mov r0, 1", "exit"],
    ] {
        check(text, text);
    }
}

#[test]
fn what_is_never_read_is_not_written() {
    // r7 is read on one of the ways, r3 by the call, r6 by nobody but itself.
    check(
        &[
            "mov r7, 1",
            "mov r8, 2",
            "mov r6, 5",
            "add r6, 1",
            "mov r3, 3",
            "mov r0, r10",
            "call ktime_get_ns",
            "mov r2, r0",
            "ldxw r2, [r1 + 4]",
            "jeq r0, 1, seven",
            "mov r7, 4",
            "exit",
            "seven:",
            "mov r0, r7",
            "exit",
        ],
        &[
            "mov r7, 1",
            "mov r3, 3",
            "call ktime_get_ns",
            "jeq r0, 1, seven",
            "exit",
            "seven:",
            "mov r0, r7",
            "exit",
        ],
    );
    // Around a loop what was written is read before it is written again; an exchange takes r0.
    let needed = [
        "mov r2, 0",
        "again:",
        "mov r0, r2",
        "lock cmpxchg [r10 - 8], r4",
        "mov r2, 7",
        "jne r0, 3, again",
        "mov r0, 0",
        "exit",
    ];
    check(&needed, &needed);
}

fn check_stack(blocks: &[std::ops::Range<i16>], before: &str, after: Option<&str>) {
    let code = |text: &str| text::assemble_code(text.as_bytes()).expect("it is code");
    let mut packed = code(before);
    assert_eq!(packed.pack_stack(blocks), after.is_some(), "{before}");
    assert_eq!(packed.insns(), code(after.unwrap_or(before)).insns(), "{before}");
}

#[test]
fn words_that_nothing_stands_in_are_left_out_of_the_stack() {
    // A word of which a half is used stays one, and what is within it where it is.
    check_stack(
        &[],
        "stxdw [r10 - 16], r1\nldxh r2, [r10 - 26]\nstb [r10 - 505], 7\nlock add [r10 - 512], r2\nstxw [r1 + 40], r2\nexit",
        Some(
            "stxdw [r10 - 8], r1\nldxh r2, [r10 - 10]\nstb [r10 - 17], 7\nlock add [r10 - 24], r2\nstxw [r1 + 40], r2\nexit",
        ),
    );
    // Of a block all words are used, though but one of them is touched: the address may be of more.
    check_stack(
        &[-64..-40, -200..-160],
        "mov r2, r10\nadd r2, -60\nstxb [r10 - 40], r1\nldxdw r1, [r10 - 80]\nexit",
        Some("mov r2, r10\nadd r2, -28\nstxb [r10 - 8], r1\nldxdw r1, [r10 - 40]\nexit"),
    );
}

#[test]
fn a_stack_that_something_else_points_into_stays() {
    for what in [
        "mov r2, r10\nadd r2, -72",
        "mov r2, r10\nadd r1, -64",
        "mov r2, r10\nsub r2, 64",
        "mov r2, r10\nmov r3, r2\nadd r3, -64",
        "mov32 r2, r10",
        "stxdw [r10 - 64], r10",
        "jeq r1, r10, 0",
        "add r1, r10",
        "ldxdw r1, [r10 - 520]",
        "ldxdw r1, [r10 - 4]",
        "lock xchg [r10 - 8], r10",
    ] {
        check_stack(&[-64..-56, -96..-88], &format!("stxdw [r10 - 24], r1\n{what}\nexit"), None);
    }
}
