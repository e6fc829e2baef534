//! A server's receive calls, watched while it serves.

use std::{
    io::{Write as _, stdout},
    os::fd::AsFd,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use weir_filters::fun::probe::Probe;
use weir_hooks::{HookError, ReceiveCalls, ReceiveProbe, TraceLines};

/// A probe, and what shows its lines.
pub(super) struct Watch {
    probe: ReceiveProbe,
    printer: Option<Printer>,
}

impl Watch {
    /// Watches that socket from now on.
    pub(super) fn start(probe: Probe, socket: impl AsFd) -> Result<Self, HookError> {
        let mut probe = ReceiveProbe::attach(probe, socket)?;
        let printer = probe.take_lines().map(Printer::start);
        Ok(Self { probe, printer })
    }

    /// Ends it, and says what it saw.
    pub(super) fn end(self) -> Result<String, HookError> {
        let calls = self.probe.calls()?;
        // Detached before the last look at the lines: none comes after it.
        drop(self.probe);
        let mut text = match self.printer {
            None => format!("receive calls: {}\n", calls.counted),
            Some(printer) => printer.end()?,
        };
        text.push_str(&missed(calls));
        Ok(text)
    }
}

fn missed(calls: ReceiveCalls) -> String {
    match calls.missed {
        Some(0) => String::new(),
        None => "calls that the kernel left the probe out at are not among them: it counts those since Linux 5.12\n".to_owned(),
        Some(missed) => format!(
            "the kernel left the probe out {missed} times, at calls of this or other processes: another program ran \
             on that CPU\n"
        ),
    }
}

/// Shows trace lines on stdout as they come.
struct Printer {
    /// Says at its end how many lines there were.
    thread: JoinHandle<Result<u64, HookError>>,
    stop: Sender<()>,
}

/// Lines shown at most: a busy server writes hundreds of thousands a second.
const MOST_SHOWN: u64 = 1000;

/// The kernel wakes no reader before the buffer is half full (`buffer_percent`).
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Printer {
    fn start(lines: TraceLines) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || show(lines, &stopped));
        Self { thread, stop }
    }

    fn end(self) -> Result<String, HookError> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(tally)
    }
}

fn show(mut lines: TraceLines, stopped: &Receiver<()>) -> Result<u64, HookError> {
    let mut seen = 0;
    loop {
        let is_last = stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Disconnected);
        lines.look(|line| {
            seen += 1;
            if seen <= MOST_SHOWN {
                // A stdout that can't be written to is no reason to stop serving.
                let _ = writeln!(stdout().lock(), "{line}");
            }
        })?;
        if is_last {
            return Ok(seen);
        }
    }
}

/// How many lines there were, and how many of them were shown.
fn tally(lines: u64) -> String {
    let more = match lines {
        0 => " (is tracing off? tracing_on in tracefs says 0 then)".to_owned(),
        1..=MOST_SHOWN => String::new(),
        _ => format!(", the first {MOST_SHOWN} shown"),
    };
    format!("trace lines: {lines}{more}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_how_much_was_shown() {
        let check = |lines, expected: &str| assert_eq!(tally(lines), expected);
        check(3, "trace lines: 3\n");
        check(1001, "trace lines: 1001, the first 1000 shown\n");
        check(0, "trace lines: 0 (is tracing off? tracing_on in tracefs says 0 then)\n");
    }

    #[test]
    fn misses_are_told_where_there_are_some() {
        assert_eq!(missed(ReceiveCalls { counted: 5, missed: Some(0) }), "");
        assert!(missed(ReceiveCalls { counted: 5, missed: Some(2) }).contains("left the probe out 2 times"));
        assert!(missed(ReceiveCalls { counted: 5, missed: None }).contains("are not among them"));
    }
}
