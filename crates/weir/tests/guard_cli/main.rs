//! `weir guard` through the binary: what is wrong with rules, what they do to captures, how they begin.

mod begun;
mod captures;
mod exported;
mod faults;
mod tried;
mod tutorial;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use weir_testing::Ended;

/// A protocol whose messages are told by their first byte.
const LETTERS: &str = r#"name = "letters"
source = "made up"
[fields]
kind = "u8 @ 0"
[[message]]
name = "query"
length = "2..=20"
when = "kind == 'q'"
[[message]]
name = "notify"
when = "kind == 'n'"
[[message]]
name = "reply"
when = "kind == 'r'"
"#;

/// A guard for it.
const GUARD: &str = r#"[[service]]
name = "letters"
listen = "udp/53"
protocol = "./letters.toml"
accept = ["query", { message = "notify", from = "known" }]
allow = ["192.0.2.0/24"]
block = ["@blocked.txt"]
limit = [{ message = "query", per = "source/32,/56", rate = "1/s", burst = 2 }]
known = { after = "reply", by = "source/32,/64", for = "60s" }
"#;

/// A folder with both, and the list that the guard names.
fn folder() -> tempfile::TempDir {
    let folder = weir_testing::folder();
    write(folder.path(), "letters.toml", LETTERS);
    write(folder.path(), "guard.toml", GUARD);
    write(folder.path(), "blocked.txt", "203.0.113.0/24 # those\n\n2001:db8:bad::/48\n");
    folder
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).expect("the file is written");
}

/// Runs `weir guard` in a folder, with nothing on its standard input.
fn guard(folder: &Path, arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("guard")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    output.expect("the binary starts").into()
}

/// It ended with this status and these words on stderr.
#[track_caller]
fn check(ended: &Ended, status: i32, words: &[&str]) {
    assert_eq!(ended.status, Some(status), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no '{word}' in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

/// The JSON document that a command printed that succeeds.
#[track_caller]
fn json(ended: &Ended) -> serde_json::Value {
    check(ended, 0, &[]);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}
