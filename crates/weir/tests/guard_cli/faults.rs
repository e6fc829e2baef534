//! What is wrong with guards, protocols and lists.

use std::{fs, os::unix::fs::symlink};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::Value;

use crate::{GUARD, LETTERS, check, folder, guard, write};

#[test]
fn a_guard_without_fault_is_told_as_tables_and_as_records() {
    let folder = folder();
    let ended = guard(folder.path(), &["check", "guard.toml"]);
    check(&ended, 0, &[]);
    for part in [
        "udp/53",
        "observe",
        "letters (made up)",
        "2 prefixes",
        "known sources",
        "not accepted",
        "1/s, 2 at once per source/32,/56",
        "| xdp ",
    ] {
        assert!(ended.stdout.contains(part), "no '{part}' in:\n{}", ended.stdout);
    }
    let ended = guard(folder.path(), &["check", "guard.toml", "--json"]);
    check(&ended, 0, &[]);
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [service] = lines.as_slice() else { panic!("one service: {lines:?}") };
    assert_eq!(service["block"], 2);
    assert_eq!(service["messages"][1]["accepted_from"][0], "known sources");
    let hooks = service["hooks"].as_array().expect("hooks");
    let names: Vec<_> = hooks.iter().map(|hook| hook["hook"].as_str().expect("a name")).collect();
    assert_eq!(names, ["socket", "cgroup", "tc", "xdp"]);
    for hook in hooks {
        assert!(hook["instructions"].as_u64().is_some() != hook["reason"].is_string(), "{hook}");
    }
}

#[test]
fn a_protocol_is_checked_by_itself() {
    let folder = folder();
    let ended = guard(folder.path(), &["check", "letters.toml"]);
    check(&ended, 0, &[]);
    assert!(ended.stdout.contains("query, notify, reply"), "{}", ended.stdout);
    write(folder.path(), "letters.toml", LETTERS.replace("u8 @ 0", "u9 @ 0"));
    check(&guard(folder.path(), &["check", "letters.toml"]), 1, &["letters.toml:4:", "u9"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_its_file_and_line() {
    let folder = folder();
    let wrong = GUARD.replace("udp/53", "tcp/53").replace("192.0.2.0/24", "192.0.2.1/24");
    write(folder.path(), "guard.toml", wrong);
    write(folder.path(), "blocked.txt", "10.0.0.1\n# nothing\n10.0.0.300\n");
    write(folder.path(), "letters.toml", LETTERS.replace("kind == 'n'", "kinds == 'n'"));
    let ended = guard(folder.path(), &["check", "guard.toml"]);
    let words = [
        "guard.toml:3:",
        "guard.toml:6:",
        "blocked.txt:3:1",
        "10.0.0.300",
        "letters.toml:11:",
        "^^^",
        "'kind' is there",
    ];
    check(&ended, 1, &words);
    assert_eq!(ended.stdout, "");
    let ended = guard(folder.path(), &["check", "guard.toml", "--json"]);
    check(&ended, 1, &[]);
    let found: Vec<Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut places: Vec<_> = found
        .iter()
        .map(|found| {
            let file = found["file"].as_str().expect("a name").trim_start_matches("./").to_owned();
            (file, found["line"].as_u64().expect("a number"))
        })
        .collect();
    places.sort();
    let expected = [("blocked.txt", 3), ("guard.toml", 3), ("guard.toml", 6), ("letters.toml", 11)];
    assert_eq!(places, expected.map(|(file, line)| (file.to_owned(), line)));
    assert!(found.iter().all(|found| found["kind"] == "error"));
    check(&guard(folder.path(), &["try", "guard.toml", "--pcap", "nowhere"]), 1, &["guard.toml:3:"]);
}

#[test]
fn files_that_a_guard_names_are_never_waited_for() {
    let folder = folder();
    let list = folder.path().join("blocked.txt");
    fs::remove_file(&list).expect("it is there");
    check(&guard(folder.path(), &["check", "guard.toml"]), 1, &["guard.toml:7:", "No such file"]);
    mkfifo(&list, Mode::S_IRWXU).expect("a folder takes a FIFO");
    check(&guard(folder.path(), &["check", "guard.toml"]), 1, &["guard.toml:7:", "no regular file"]);
    fs::remove_file(&list).expect("it is there");
    symlink("/dev/zero", &list).expect("a folder takes a link");
    check(&guard(folder.path(), &["check", "guard.toml"]), 1, &["guard.toml:7:", "no regular file"]);
    fs::remove_file(&list).expect("it is there");
    write(folder.path(), "blocked.txt", b"10.0.0.1\n\xff\n");
    check(&guard(folder.path(), &["check", "guard.toml"]), 1, &["guard.toml:7:", "line 2 is no UTF-8 text"]);
    write(folder.path(), "letters.toml", vec![b'#'; (1 << 20) + 1]);
    check(&guard(folder.path(), &["check", "guard.toml"]), 1, &["guard.toml:4:", "more than 1048576 bytes"]);
    mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).expect("a folder takes a FIFO");
    for (file, words) in [("fifo", "no regular file"), (".", "no regular file"), ("nowhere", "No such file")]
    {
        check(&guard(folder.path(), &["check", file]), 2, &[words]);
    }
}

#[test]
fn paths_are_relative_to_the_guard() {
    let folder = folder();
    fs::create_dir(folder.path().join("elsewhere")).expect("a folder");
    let path = folder.path().join("guard.toml");
    let ended = guard(&folder.path().join("elsewhere"), &["check", path.to_str().expect("UTF-8")]);
    check(&ended, 0, &[]);
    write(folder.path(), "guard.toml", GUARD.replace("./letters.toml", "no-such-protocol"));
    check(
        &guard(folder.path(), &["check", "guard.toml"]),
        1,
        &["guard.toml:4:", "weir ships none of that name"],
    );
}

#[test]
fn texts_of_others_act_on_no_terminal() {
    let folder = folder();
    let wrong = GUARD.replace("udp/53", "\u{9b}2J\u{202e}").replace("\"query\"", "\"qu\\u001b[2Jery\"");
    for text in
        [wrong.clone().into_bytes(), [wrong.as_bytes(), b"\xff\x1b[2J"].concat(), b"\x1b[2J\x07".to_vec()]
    {
        write(folder.path(), "guard.toml", text);
        for arguments in [&["check", "guard.toml"][..], &["check", "guard.toml", "--json"]] {
            let ended = guard(folder.path(), arguments);
            check(&ended, 1, &[]);
            let acts =
                |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
            assert!(!ended.stderr.contains(acts), "{arguments:?}: {}", ended.stderr.escape_debug());
        }
    }
}

#[test]
fn a_warning_stands_in_nobodys_way() {
    let folder = folder();
    let strange = GUARD.replace("[\"query\", ", "[\"query\", \"query\", ");
    write(folder.path(), "guard.toml", strange);
    let ended = guard(folder.path(), &["check", "guard.toml"]);
    check(&ended, 0, &["warning", "'query' is accepted already", "guard.toml:5:"]);
    assert!(ended.stdout.contains("| socket "), "{}", ended.stdout);
}

#[test]
fn a_fault_in_a_text_of_several_lines_has_its_caret_below_it() {
    let folder = folder();
    // A condition, where its fault is, the line as it is shown, and what is below.
    let rows: [(&str, &str, &str, &str); 5] = [
        (
            "\"\"\" kinds == 'q'\n  and len > 1\"\"\"",
            "7:12",
            "when = \"\"\" kinds == 'q'",
            "           ^^^^^",
        ),
        ("\"\"\"\nkind == 'q'\n  and kinds == 'x'\n\"\"\"", "9:7", "  and kinds == 'x'", "      ^^^^^"),
        ("'''\nkind == 1\n  and kinds == 2'''", "9:7", "  and kinds == 2'''", "      ^^^^^"),
        // A tab is shown as four blanks.
        (
            "\"\"\"\n\tkind == 'q'\n\tand\tkinds == 'x'\"\"\"",
            "9:6",
            "    and    kinds == 'x'\"\"\"",
            "           ^^^^^",
        ),
        // Lines that a backslash joins.
        (
            "\"\"\"\\\n  kind == 'q' \\\n   and kinds == 'x'\"\"\"",
            "9:8",
            "   and kinds == 'x'\"\"\"",
            "       ^^^^^",
        ),
    ];
    let head = "name = \"letters\"\nsource = \"made up\"\n[fields]\nkind = \"u8 @ 0\"\n[[message]]\nname = \"query\"\n";
    for (when, place, line, caret) in rows {
        let number = place.split(':').next().expect("a line");
        for line_end in ["\n", "\r\n"] {
            write(folder.path(), "letters.toml", format!("{head}when = {when}\n").replace('\n', line_end));
            let ended = guard(folder.path(), &["check", "letters.toml"]);
            let expected = format!(
                "error: there is no field or constant 'kinds'\n --> letters.toml:{place}\n  |\n{number} | {line}\n  | {caret}\n  \
                 |\n  = help: 'kind' is there\n\n"
            );
            assert_eq!((ended.status, ended.stderr), (Some(1), expected), "{when:?} {line_end:?}");
        }
    }
}
