//! Running the binary on given input, and what it left.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// It failed with this status and these words, and wrote nothing.
    pub(crate) fn check(&self, status: i32, parts: &[&str]) {
        assert_eq!(self.status, Some(status), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no '{part}' in: {}", self.stderr);
        }
        assert!(self.stdout.is_empty(), "{self:?}");
    }
}

/// Runs `weir` with `input` on its standard input.
pub(crate) fn weir(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    Ended {
        status: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The output of a command that succeeds.
pub(crate) fn done(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let ended = weir(arguments, input);
    assert_eq!(ended.status, Some(0), "{arguments:?}: {ended:?}");
    ended.stdout
}
