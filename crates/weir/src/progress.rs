//! A progress bar for whoever watches a terminal.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is over sooner needs no bar.
const SHOW_AFTER: Duration = Duration::from_secs(1);

/// A bar on stderr, where that is a terminal, for what takes over a second.
pub(crate) struct Bar {
    started: Instant,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// A bar that isn't shown yet.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), wanted: stderr().is_terminal(), bar: None }
    }

    /// Moves the bar to `done` of `total`, and shows it when it is time to.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        if !self.wanted {
            return;
        }
        // Hidden at first, so that it knows the rate by the time it is shown.
        let bar = self.bar.get_or_insert_with(|| hidden_bar(total));
        bar.set_position(done.min(total));
        if bar.is_hidden() && self.started.elapsed() >= SHOW_AFTER {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn hidden_bar(total: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} packets, {per_sec}, {eta} left")
            .expect("the template is constant and valid");
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()).with_style(style)
}
