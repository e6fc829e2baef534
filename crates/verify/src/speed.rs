//! How fast a comparison is beside a bare loop over the system call that it is made of.

use std::time::{Duration, Instant};

use serde::Serialize;
use weir_filters::{
    Combination,
    corpus::{self, Case},
};
use weir_hooks::KernelFilter;

use crate::{
    Packets, Plan,
    batches::{BATCH, Batches},
    per_second,
    plan::{LoadedPrograms, Stand, Way},
    program::AskedProgram,
};

/// Turns of each side.
const TURNS: usize = 5;

/// Packets of a turn, so many that the one batch that is there before the turn is a small part.
const PACKETS: usize = 32 * BATCH;

/// What both sides did in turn.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// The combination.
    #[serde(flatten)]
    pub combination: Combination,
    /// What came of it.
    #[serde(flatten)]
    pub pace: MeasuredPace,
}

/// What came of measuring a combination.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum MeasuredPace {
    /// Both sides were measured.
    Measured {
        /// System calls a second, on one packet.
        #[serde(rename = "bare_calls_per_second")]
        bare: f64,
        /// Packets a second, made, decided and compared; for this one combination alone.
        #[serde(rename = "verify_packets_per_second")]
        verify: f64,
    },
    /// There is no program, or it can't be run.
    Refused {
        /// What was tried, and what came back.
        #[serde(rename = "refused")]
        reason: String,
    },
}

/// Measures each combination that `BPF_PROG_TEST_RUN` runs, at its first site. A program that is refused is a row with the
/// reason.
pub fn speed(plan: &Plan, packets: &Packets) -> Vec<Speed> {
    let mut speeds: Vec<Speed> = Vec::new();
    for place in plan.places().into_iter().filter(|place| place.way == Way::TestRun) {
        let LoadedPrograms { programs, refusals } = plan.load(&place, |_| u64::MAX);
        let refused = refusals.into_iter().map(|refusal| (refusal.combination, Err(refusal.reason)));
        let loaded = programs.into_iter().map(|program| (program.combination, Ok(program)));
        for (combination, program) in loaded.chain(refused) {
            if !speeds.iter().any(|speed| speed.combination == combination) {
                let pace = program.and_then(|program| {
                    measured(program, &place, packets).map_err(|error| format!("{error:#}"))
                });
                let pace = pace.unwrap_or_else(|reason| MeasuredPace::Refused { reason });
                speeds.push(Speed { combination, pace });
            }
        }
    }
    speeds
}

fn measured(mut program: AskedProgram, place: &Stand, packets: &Packets) -> anyhow::Result<MeasuredPace> {
    let bare = KernelFilter::load(program.filter, program.combination.toolkit, &place.site)?;
    let mut cases = corpus::cases(&place.site, &packets.captured, packets.seed);
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
    Ok(MeasuredPace::Measured { bare, verify })
}

/// A packet of ordinary length, that the test run takes at every hook.
fn bare_case(cases: &mut impl Iterator<Item = Case>) -> Case {
    cases
        .find(|case| case.segments == 1 && (64..128).contains(&case.seen.len()))
        .expect("the corpus never ends")
}
