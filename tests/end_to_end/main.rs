//! End to end through the binary: real servers, real clients, the real kernel.
//!
//! Where the kernel or the privilege is missing, the tests that attach a program count as ignored, with the reason in
//! brackets.

mod bad_input;
mod objects;
mod running;
mod serving;
mod toolkits;

use libtest_mimic::{Arguments, Failed, Trial};
use weir_hooks::KernelFilter;

/// A test by name; `Needs` says what it can't do without.
pub(crate) struct Test {
    name: &'static str,
    needs: Needs,
    run: fn(),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Kernel,
}

pub(crate) const fn plain(name: &'static str, run: fn()) -> Test {
    Test { name, needs: Needs::Nothing, run }
}

pub(crate) const fn kernel(name: &'static str, run: fn()) -> Test {
    Test { name, needs: Needs::Kernel, run }
}

fn main() {
    let obstacle = KernelFilter::probe().err().map(|error| error.to_string());
    // Only what the machine lacks is a reason to skip; a program that doesn't load is a failure.
    let obstacle = obstacle.filter(|reason| reason.contains("needs root") || reason.contains("no bpf(2)"));
    let tests = serving::TESTS.iter().chain(bad_input::TESTS).chain(objects::TESTS).chain(toolkits::TESTS);
    let trials = tests.map(|test| trial(test, obstacle.as_deref())).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(test: &Test, obstacle: Option<&str>) -> Trial {
    let run = test.run;
    let trial = Trial::test(test.name, move || {
        std::panic::catch_unwind(run).map_err(|panic| Failed::from(message_of(panic.as_ref())))
    });
    match obstacle {
        Some(reason) if test.needs == Needs::Kernel => {
            trial.with_kind(format!("skipped: {reason}")).with_ignored_flag(true)
        }
        _ => trial,
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panicked".to_owned())
}
