//! How far the searches are: trials made, bounds so far, time left; a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use weir_results::{capacity::Decider, number};

use super::plan::SearchPlan;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Who is searched, and between which rates, packets/s, the capacity lies as far as is known.
pub(super) type SearchBounds = (Decider, (Option<u64>, Option<u64>));

/// The progress of all searches, on stderr.
pub(super) struct SearchProgress {
    bar: Option<ProgressBar>,
    expected: Expected,
    trials: u64,
    began: Instant,
    spoke: Option<Instant>,
}

/// How many groups of searches side by side there are, and how long one takes.
///
/// Nobody knows how many trials a search needs until it ends; those that ended here are the best guess.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    groups: u32,
    over: u32,
    /// By the plan, before any was made.
    planned: Duration,
    /// Time and number of the groups that were made, rather than read from a folder.
    made: (Duration, u32),
}

impl Expected {
    fn of_a_group(&self) -> Duration {
        let (time, number) = self.made;
        if number == 0 { self.planned } else { time / number }
    }

    /// Until all are over, where the one that is being made has taken `so_far`.
    fn left(&self, so_far: Duration) -> Duration {
        (self.of_a_group() * (self.groups - self.over)).saturating_sub(so_far.min(self.of_a_group()))
    }

    fn ended(&mut self, taken: Option<Duration>) {
        self.over += 1;
        if let Some(taken) = taken {
            self.made.0 += taken;
            self.made.1 += 1;
        }
    }
}

impl SearchProgress {
    pub(super) fn new(plan: &SearchPlan) -> Self {
        let groups = plan.searches * plan.invalid_percent.len() as u32;
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} searches side by side\n{wide_msg}")
            .expect("the template is constant and valid");
        let bar = stderr().is_terminal().then(|| ProgressBar::new(groups.into()).with_style(style));
        let planned = plan.budget().1 / groups.max(1);
        let expected = Expected { groups, over: 0, planned, made: (Duration::ZERO, 0) };
        Self { bar, expected, trials: 0, began: Instant::now(), spoke: None }
    }

    /// A run was made.
    pub(super) fn ran(&mut self) {
        self.trials += 1;
    }

    /// A group of searches begins.
    pub(super) fn begins(&mut self) {
        self.began = Instant::now();
    }

    /// How the searches of the group stand.
    pub(super) fn stand(&mut self, invalid_percent: u8, searches: &[SearchBounds]) {
        let bounds: Vec<_> = searches.iter().map(bounds).collect();
        let left = self.expected.left(self.began.elapsed());
        self.say(&format!(
            "{} runs, search {} of {}, {} left: at {invalid_percent} % invalid {}",
            self.trials,
            self.expected.over + 1,
            self.expected.groups,
            about(left),
            bounds.join(", ")
        ));
    }

    /// The group is over; `made` says whether any run of it was made now.
    pub(super) fn ends(&mut self, made: bool) {
        self.expected.ended(made.then(|| self.began.elapsed()));
        self.bar.iter().for_each(|bar| bar.set_position(self.expected.over.into()));
    }

    /// A run of those that compare costs begins.
    pub(super) fn compares(&mut self, run: usize, of: usize) {
        self.say(&format!("{} runs; the server's CPU time at a common rate, run {run} of {of}", self.trials));
    }

    fn say(&mut self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.to_owned());
        } else if self.spoke.is_none_or(|spoke| spoke.elapsed() >= LINE_EVERY) {
            self.spoke = Some(Instant::now());
            // Whoever reads the pipe may have gone; the samples matter more.
            drop(writeln!(stderr(), "weir: {line}"));
        }
    }

    /// Takes the bar off the terminal.
    pub(super) fn clear(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bounds(standing: &SearchBounds) -> String {
    let (decider, (lower, upper)) = *standing;
    let rate = |rate: Option<u64>| rate.map_or_else(|| "?".to_owned(), number::count);
    format!("{} {}–{} packets/s", decider, rate(lower), rate(upper))
}

fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..90 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_left_follows_the_plan_until_searches_have_shown_how_long_they_take() {
        let mut expected = Expected { groups: 4, over: 0, planned: seconds(10), made: (Duration::ZERO, 0) };
        assert_eq!(expected.left(seconds(0)), seconds(40));
        assert_eq!(expected.left(seconds(4)), seconds(36));
        // One that takes longer than expected is about to end.
        assert_eq!(expected.left(seconds(99)), seconds(30));
        expected.ended(Some(seconds(20)));
        assert_eq!(expected.left(seconds(5)), seconds(55));
        // What a folder held already says nothing about time.
        expected.ended(None);
        assert_eq!(expected.left(seconds(0)), seconds(40));
        expected.ended(Some(seconds(10)));
        expected.ended(Some(seconds(30)));
        assert_eq!(expected.left(seconds(0)), seconds(0));
    }
}
