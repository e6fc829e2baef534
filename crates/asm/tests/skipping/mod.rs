//! Tests that need something of the machine: where it is missing they count as ignored, with the reason in brackets;
//! with `WEIR_REQUIRE_KERNEL=1` in the environment they fail instead.

use libtest_mimic::{Arguments, Failed, Trial};

/// A name and what it runs.
pub(crate) type Test = (&'static str, fn());

/// Runs groups of tests, each with what keeps it from running here, and ends the process.
pub(crate) fn run(groups: &[(&[Test], Option<String>)]) -> ! {
    let required = std::env::var_os("WEIR_REQUIRE_KERNEL").is_some_and(|value| value == "1");
    let trials = groups.iter().flat_map(|(tests, obstacle)| {
        let obstacle = obstacle.as_deref().filter(|_| !required);
        tests.iter().map(move |&(name, test)| trial(name, test, obstacle))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit()
}

fn trial(name: &str, test: fn(), obstacle: Option<&str>) -> Trial {
    let run =
        move || std::panic::catch_unwind(test).map_err(|panic| Failed::from(message_of(panic.as_ref())));
    let trial = Trial::test(name, run);
    match obstacle {
        Some(reason) => trial.with_kind(format!("skipped: {reason}")).with_ignored_flag(true),
        None => trial,
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    panic.downcast_ref::<String>().cloned().or(text).unwrap_or_else(|| "panicked".to_owned())
}
