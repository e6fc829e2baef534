//! Commands under test: what they left, and what must come about within a while.

use std::{
    fs,
    process::{Child, Output},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// What a command left; bytes that are no UTF-8 are replaced.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; nothing where a signal ended it.
    pub status: Option<i32>,
    /// All that it wrote to its standard output, where that was piped.
    pub stdout: String,
    /// The same of its standard error.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// Has commands under test end by signals that this process ignores: a shell has what it starts in the background ignore SIGINT,
/// nohup(1) SIGHUP, and whoever is started inherits that, but not what is done instead (signal(7)).
pub(crate) fn hand_no_ignored_signals_on() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        if ignored & (1 << (signal as i32 - 1)) != 0 {
            // Nobody looks at what it sets.
            let _ = signal_hook::flag::register(signal as i32, Arc::default());
        }
    }
}

/// Sends `signal` to `child` and waits for its end.
///
/// # Panics
/// Where it can't be sent or the child's output not be read.
pub fn end(child: Child, signal: Signal) -> Ended {
    kill(Pid::from_raw(child.id() as i32), signal).expect("it is our child");
    child.wait_with_output().expect("its output is read").into()
}

/// Asks every few milliseconds until `condition` holds.
///
/// # Panics
/// Where it doesn't within a minute, with `what` in the words.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain until {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Whether `text` stands in the command line of any process.
///
/// # Panics
/// Where /proc can't be read.
pub fn is_in_a_command_line(text: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(text))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_signal_ends_a_command_that_is_seen_while_it_runs() {
        let mark = &format!("60.{}", std::process::id());
        let child = Command::new("sleep").arg(mark).stdout(Stdio::piped()).spawn().expect("sleep is there");
        wait_until("its command line is there", || is_in_a_command_line(mark));
        let ended = end(child, Signal::SIGTERM);
        assert_eq!((ended.status, ended.stdout.as_str()), (None, ""));
        assert!(!is_in_a_command_line(mark));
    }
}
