//! Tests against the running kernel: real loads, real sockets, `BPF_PROG_TEST_RUN`.
//!
//! Where the kernel or the privilege is missing they count as ignored, with the reason in brackets; with
//! `WEIR_REQUIRE_KERNEL=1` in the environment they fail instead.

mod attaching;
mod audit;
mod equivalence;
mod loading;
mod maps;
mod translated;

use std::panic::UnwindSafe;

use libtest_mimic::{Arguments, Failed, Trial};
use weir_filters::{Combination, Filter, FilterName, Hook, Toolkit};
use weir_hooks::KernelFilter;

/// A test by name.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    name: &'static str,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    Once(fn()),
    /// With each toolkit that the kernel's programs can be written with.
    Each(fn(Toolkit)),
}

pub(crate) const fn once(name: &'static str, run: fn()) -> Test {
    Test { name, run: Run::Once(run) }
}

pub(crate) const fn each(name: &'static str, run: fn(Toolkit)) -> Test {
    Test { name, run: Run::Each(run) }
}

fn main() {
    let obstacle = obstacle();
    let tests = [
        attaching::TESTS,
        audit::TESTS,
        audit::headers::TESTS,
        equivalence::TESTS,
        loading::TESTS,
        maps::TESTS,
    ]
    .concat();
    let trials = tests.into_iter().flat_map(|test| trials(test, obstacle.as_deref())).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trials(test: Test, obstacle: Option<&str>) -> Vec<Trial> {
    let Test { name, run } = test;
    match run {
        Run::Once(run) => vec![trial(name.to_owned(), run, obstacle)],
        Run::Each(run) => kernel_toolkits()
            .map(|toolkit| trial(format!("{toolkit}::{name}"), move || run(toolkit), obstacle))
            .collect(),
    }
}

fn kernel_toolkits() -> impl Iterator<Item = Toolkit> {
    let filter = FilterName::Simple;
    let in_kernel = move |toolkit| Combination { filter, toolkit, hook: Hook::Socket }.available().is_ok();
    Toolkit::ALL.into_iter().filter(move |&toolkit| in_kernel(toolkit))
}

fn trial(name: String, test: impl FnOnce() + Send + UnwindSafe + 'static, obstacle: Option<&str>) -> Trial {
    let run =
        move || std::panic::catch_unwind(test).map_err(|panic| Failed::from(message_of(panic.as_ref())));
    let trial = Trial::test(name, run);
    match obstacle {
        Some(reason) => trial.with_kind(format!("skipped: {reason}")).with_ignored_flag(true),
        None => trial,
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panicked".to_owned())
}

/// Why no kernel test can run here, in a line; nothing where they can.
fn obstacle() -> Option<String> {
    if std::env::var_os("WEIR_REQUIRE_KERNEL").is_some_and(|value| value == "1") {
        return None;
    }
    let error = KernelFilter::probe().err()?.to_string();
    // Only what the machine lacks is a reason to skip; a program that doesn't load is a failure.
    (error.contains("needs root") || error.contains("no bpf(2)"))
        .then(|| error.lines().next().unwrap_or_default().to_owned())
}

/// A loaded filter, or a failed test.
fn load(filter: impl Into<Filter>, toolkit: Toolkit) -> KernelFilter {
    let filter = filter.into();
    KernelFilter::load(filter, toolkit).unwrap_or_else(|error| panic!("{filter:?} with {toolkit}: {error}"))
}
