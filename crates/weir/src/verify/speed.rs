//! How fast a comparison is beside a bare loop over the system call that it is made of.

use std::time::{Duration, Instant};

use serde::Serialize;
use weir_filters::{
    Combination, FilterName, Hook, Toolkit,
    corpus::{self, Case},
};
use weir_hooks::KernelFilter;

use super::{
    Packets, Plan,
    batches::{BATCH, Batches},
    per_second,
    plan::Way,
};

/// Turns of each side.
const TURNS: usize = 5;

/// Packets of a turn, so many that the one batch that is there before the turn is a small part.
const PACKETS: usize = 32 * BATCH;

/// What both sides did in turn.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    /// The filter.
    pub filter: FilterName,
    /// How it is written.
    pub toolkit: Toolkit,
    /// Where it runs.
    pub hook: Hook,
    /// System calls a second, on one packet.
    #[serde(rename = "bare_calls_per_second")]
    pub bare: f64,
    #[serde(rename = "verify_packets_per_second")]
    /// Packets a second, made, decided and compared; for this one combination alone.
    pub verify: f64,
}

/// Measures each combination that `BPF_PROG_TEST_RUN` runs, at its first site.
///
/// # Errors
/// A program that can't be loaded or run.
pub fn speed(plan: &Plan, packets: &Packets) -> anyhow::Result<Vec<Speed>> {
    let mut speeds: Vec<Speed> = Vec::new();
    for place in plan.places().into_iter().filter(|place| place.way == Way::TestRun) {
        let site = place.site;
        for mut program in plan.load(&place, |_| u64::MAX).all()? {
            let Combination { filter, toolkit, hook } = program.combination;
            let is_same =
                |speed: &Speed| (speed.filter, speed.toolkit, speed.hook) == (filter, toolkit, hook);
            if speeds.iter().any(is_same) {
                continue;
            }
            let bare = KernelFilter::load(program.filter, toolkit, &site)?;
            let mut cases = corpus::cases(&site, &packets.captured, packets.seed);
            let one = bare_case(&mut cases);
            let mut batches = Batches::of(cases);
            let mut decided = Vec::new();
            let mut spent = [Duration::ZERO; 2];
            for _ in 0..TURNS {
                spent[0] += bare.bare_loop(&one.seen, PACKETS as u32)?;
                let started = Instant::now();
                for _ in 0..PACKETS / BATCH {
                    program.compare(batches.next(), &mut decided, Duration::ZERO)?;
                }
                spent[1] += started.elapsed();
            }
            let [bare, verify] = spent.map(|spent| per_second((TURNS * PACKETS) as u64, spent));
            speeds.push(Speed { filter, toolkit, hook, bare, verify });
        }
    }
    Ok(speeds)
}

/// A packet of ordinary length, that the test run takes at every hook.
fn bare_case(cases: &mut impl Iterator<Item = Case>) -> Case {
    cases
        .find(|case| case.segments == 1 && (64..128).contains(&case.seen.len()))
        .expect("the corpus never ends")
}
