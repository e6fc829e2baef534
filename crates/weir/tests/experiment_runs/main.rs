//! `weir experiment` as a process: real runs of weir's own server without a program, and of servers and clients that
//! are not weir's. Those are this test's own binary, started again as a [`stand_in`].

mod bad_input;
mod bench;
mod ending;
mod running;
mod stand_in;

use std::panic::catch_unwind;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test and its name.
type Test = (&'static str, fn());

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, role, rest @ ..] = arguments.as_slice()
        && role == stand_in::ROLE
    {
        stand_in::run(rest);
        return;
    }
    let tests = [running::TESTS, ending::TESTS, bad_input::TESTS].concat();
    let trials = tests.into_iter().map(|(name, run)| Trial::test(name, move || judged(run))).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn judged(run: fn()) -> Result<(), Failed> {
    catch_unwind(run).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Failed::from(text.unwrap_or_else(|| "panicked".to_owned()))
    })
}
