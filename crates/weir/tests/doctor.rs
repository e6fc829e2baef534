//! `weir doctor` undoes what it tries, also where a signal comes meanwhile.

use std::{
    fs,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use weir_testing::{end, wait_until};

/// The value of `key` in /proc/PID/status.
fn status_of(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

fn catches(pid: u32, signal: Signal) -> bool {
    let caught = u64::from_str_radix(&status_of(pid, "SigCgt"), 16).unwrap_or(0);
    caught >> (signal as u32 - 1) & 1 == 1
}

#[test]
fn a_signal_ends_it_once_all_that_was_tried_is_undone() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        let doctor = command.arg("doctor").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = doctor.id();
        wait_until("the doctor catches signals, or is done", || {
            catches(pid, signal) || status_of(pid, "State").starts_with('Z')
        });
        let ended = end(doctor, signal);
        assert!(ended.status.is_some(), "{signal} killed it");
        assert_eq!(ended.status == Some(130), ended.stdout.is_empty(), "{}", ended.stdout);
    }
}
