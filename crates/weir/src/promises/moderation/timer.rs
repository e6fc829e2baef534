//! What a nap costs by itself: a timer, for which a virtual machine may have to ask its hypervisor.

use std::{thread, time::Duration};

use nix::{
    sys::prctl,
    time::{ClockId, clock_gettime},
};

use crate::promises::{Bound, PromisedFigure, Runner, bare_loops};

const NAP: Duration = Duration::from_micros(100);
/// Naps of a run.
const NAPS: u32 = 1000;

pub(super) fn measure(runs: u32, runner: &Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let cores = &runner.pinning.server;
    let cost = |_| thread::scope(|scope| scope.spawn(|| nap_us(cores)).join().expect("it does not panic"));
    let costs = (0..runs).map(cost).collect::<anyhow::Result<_>>()?;
    Ok(figures! { "a nap of 100 µs by itself, CPU time", "µs": costs; })
}

/// CPU time of a nap, µs, on a thread that does nothing else.
fn nap_us(cores: &[usize]) -> anyhow::Result<f64> {
    bare_loops::pin(cores)?;
    prctl::set_timerslack(1)?;
    let before = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    for _ in 0..NAPS {
        thread::sleep(NAP);
    }
    let spent = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)? - before;
    Ok(Duration::from(spent).as_secs_f64() * 1e6 / f64::from(NAPS))
}
