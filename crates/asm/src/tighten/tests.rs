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
        &["ldxb r0, [r1]", "ldxh r0, [r1]", "jgt r0, 255, out", "exit", "out:", "mov r0, 0", "exit"],
    );
    // Of a call's result and of what a loop changes nothing is known.
    check(
        &["mov r6, 0", "again:", "jgt r6, 5, end", "add r6, 1", "ja again", "end:", "mov r0, r6", "exit"],
        &["mov r6, 0", "again:", "jgt r6, 5, end", "add r6, 1", "ja again", "end:", "mov r0, r6", "exit"],
    );
    check(
        &["mov r0, 1", "call ktime_get_ns", "jeq r0, 1, end", "mov r0, 2", "end:", "exit"],
        &["mov r0, 1", "call ktime_get_ns", "jeq r0, 1, end", "mov r0, 2", "end:", "exit"],
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
        "ja load",
        "one:",
        "ldxw r0, [r1 + 4]",
        "load:",
        "ldxw r0, [r1]",
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
