//! How far an experiment is: a bar on a terminal, a line now and then elsewhere; on stderr.

use std::{
    io::{IsTerminal, Write as _, stderr, stdout},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use weir_results::{cell::name_of, sample::Sample};

/// With up to this many runs each has a line; with more, each tenth of them.
const LINES: u64 = 40;

/// The progress of an experiment.
pub struct RunProgress {
    events: bool,
    bar: Option<ProgressBar>,
    done: u64,
    total: u64,
}

impl RunProgress {
    /// `done` runs are there already, and `due` more are to be made; later it may turn out that more are needed.
    /// With `events`, stdout gets a JSON object a line, and stderr no progress.
    pub fn new(done: u64, due: u64, events: bool) -> Self {
        let total = done + due;
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} runs, {eta} left\n{wide_msg}")
            .expect("the template is constant and valid");
        let bar = (!events && stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total).with_style(style).with_position(done);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        let progress = Self { events, bar, done, total };
        progress.tell(&RunEvent::Begun { done, planned: total });
        progress
    }

    /// Another run is done.
    pub fn ran(&mut self, sample: &Sample) {
        self.done += 1;
        if self.done > self.total {
            self.total = self.done;
            self.bar.iter().for_each(|bar| bar.set_length(self.total));
        }
        self.tell(&RunEvent::Ran { done: self.done, planned: self.total, sample });
        let line = describe(sample);
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.set_message(line);
        } else if !self.events && is_due(self.done, self.total) {
            self.say(&format!("[{:>width$}/{}] {line}", self.done, self.total, width = digits(self.total)));
        }
    }

    /// Says something that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            // Whoever reads the pipe may have gone; the samples matter more.
            None => drop(writeln!(stderr(), "{line}")),
        }
    }

    /// Tells programs; that nobody reads it any more is no reason to stop.
    fn tell(&self, event: &RunEvent<'_>) {
        if self.events {
            let line = serde_json::to_string(event).expect("samples are JSON");
            drop(writeln!(stdout(), "{line}"));
        }
    }

    /// Takes the bar off the terminal.
    pub fn clear(self) {
        self.tell(&RunEvent::Ended { done: self.done, planned: self.total });
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What programs are told, a JSON object a line.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
enum RunEvent<'a> {
    /// `done` of `planned` runs are there.
    Begun { done: u64, planned: u64 },
    /// Another one is.
    Ran { done: u64, planned: u64, sample: &'a Sample },
    /// No more will be made.
    Ended { done: u64, planned: u64 },
}

fn is_due(done: u64, total: u64) -> bool {
    let tenths = |runs: u64| runs * 10 / total.max(1);
    total <= LINES || tenths(done) > tenths(done - 1)
}

fn digits(number: u64) -> usize {
    number.to_string().len()
}

fn describe(sample: &Sample) -> String {
    let mut line = name_of(&sample.cell);
    if let Some(wall_s) = sample.wall_s {
        line += &format!(": {wall_s:.3} s");
    }
    // A run that failed has used little time for nothing.
    if sample.failure().is_none() {
        line += &format!(", server CPU {:.2} us/packet", sample.server_cpu_us_per_packet());
    }
    if let Some(loss) = sample.loss_percent() {
        line += &format!(", loss {loss:.2} %");
    }
    for flaw in &sample.flaws {
        line += &format!(", INVALID: {flaw}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(total: u64, expected_lines: usize) {
        assert_eq!((1..=total).filter(|&done| is_due(done, total)).count(), expected_lines);
        assert!(total == 0 || is_due(total, total), "the last run always has a line");
    }

    #[test]
    fn few_runs_have_a_line_each_and_many_ten_in_all() {
        check(0, 0);
        check(1, 1);
        check(40, 40);
        check(41, 10);
        check(1000, 10);
    }
}
