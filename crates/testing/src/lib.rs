//! Tests that need something of the machine: where it is missing they count as ignored, with the reason in brackets;
//! with `WEIR_REQUIRE_KERNEL=1` in the environment they run, and fail, instead. Beside that, what tests of several crates
//! have in common.
//!
//! For test targets with `harness = false`:
//!
//! ```no_run
//! use weir_testing::{Group, Test, run};
//!
//! const ANYWHERE: &[Test] = &[("two_and_two_are_four", || assert_eq!(2 + 2, 4))];
//! const WITH_A_LAKE: &[Test] = &[("ducks_swim", || assert!(true))];
//!
//! run([Group::of(ANYWHERE), Group::of(WITH_A_LAKE).skipped_for(Some("no lake here".to_owned()))]);
//! ```
#![forbid(unsafe_code)]

mod bpffs;
mod control_group;
mod process;
mod sockets;

use std::{
    any::Any,
    panic::{UnwindSafe, catch_unwind},
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};

pub use bpffs::with_bpffs;
pub use control_group::ControlGroup;
pub use process::{Ended, end, is_in_a_command_line, wait_until};
pub use sockets::{received, send};

/// A test's name, a sentence in snake case, and what it runs.
pub type Test = (&'static str, fn());

/// Tests that need the same of the machine.
#[derive(Default)]
pub struct Group {
    tests: Vec<(String, Box<dyn FnOnce() + Send + UnwindSafe>)>,
    obstacle: Option<String>,
}

impl Group {
    /// These tests.
    pub fn of(tests: &[Test]) -> Self {
        let mut group = Self::default();
        for &(name, run) in tests {
            group.push(name, run);
        }
        group
    }

    /// Adds a test.
    pub fn push(&mut self, name: impl Into<String>, run: impl FnOnce() + Send + UnwindSafe + 'static) {
        self.tests.push((name.into(), Box::new(run)));
    }

    /// Skips all of them where there is an obstacle, unless `WEIR_REQUIRE_KERNEL=1`.
    #[must_use]
    pub fn skipped_for(self, obstacle: Option<String>) -> Self {
        let obstacle = obstacle.filter(|_| !is_required()).map(|reason| format!("skipped: {reason}"));
        Self { obstacle, ..self }
    }

    /// Runs none of them where there is an obstacle, whatever `WEIR_REQUIRE_KERNEL` says, and counts them as not applicable: this
    /// kernel lacks what they are about.
    #[must_use]
    pub fn inapplicable_for(self, obstacle: Option<String>) -> Self {
        Self { obstacle: self.obstacle.or(obstacle.map(|reason| format!("n/a: {reason}"))), ..self }
    }

    fn trials(self) -> impl Iterator<Item = Trial> {
        let kind = self.obstacle;
        self.tests.into_iter().map(move |(name, run)| {
            let run = Trial::test(name, || catch_unwind(run).map_err(|panic| failed(panic.as_ref())));
            match &kind {
                Some(kind) => run.with_kind(kind.clone()).with_ignored_flag(true),
                None => run,
            }
        })
    }
}

/// Runs the groups as the command line asks for, and ends the process.
pub fn run(groups: impl IntoIterator<Item = Group>) -> ! {
    process::hand_no_ignored_signals_on();
    let trials = groups.into_iter().flat_map(Group::trials).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit()
}

/// How many of something a test does: `usual`; a tenth in an emulated machine (`WEIR_EMULATED=1` in the environment), where
/// each takes some ten times as long.
pub fn scaled(usual: usize) -> usize {
    if is_emulated() { usual / 10 } else { usual }
}

/// How long a test waits for something that comes: `usual`; longer in an emulated machine.
pub fn patience(usual: Duration) -> Duration {
    if is_emulated() { 5 * usual } else { usual }
}

fn is_emulated() -> bool {
    std::env::var_os("WEIR_EMULATED").is_some()
}

/// An empty folder, removed when dropped.
///
/// # Panics
/// Where none can be made.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("weir-").tempdir().expect("a temporary folder")
}

fn is_required() -> bool {
    std::env::var_os("WEIR_REQUIRE_KERNEL").is_some_and(|value| value == "1")
}

fn failed(panic: &(dyn Any + Send)) -> Failed {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Failed::from(text.unwrap_or("panicked").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_fails_a_test_with_its_words() {
        let words = |run: fn()| {
            failed(catch_unwind(run).expect_err("it panics").as_ref()).message().map(str::to_owned)
        };
        assert_eq!(words(|| panic!("plain")).as_deref(), Some("plain"));
        assert_eq!(words(|| panic!("{} formatted", 1)).as_deref(), Some("1 formatted"));
    }
}
