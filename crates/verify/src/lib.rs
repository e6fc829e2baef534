//! Every program against the reference: the same packets, and each verdict compared.

mod batches;
mod capture;
mod disagreement;
mod fields;
pub mod guards;
mod memory;
mod minimise;
mod mutants;
pub mod nftables;
mod plan;
mod program;
mod single;
mod sockets;
mod speed;
mod subject;
mod table;

use std::time::{Duration, Instant};

use weir_filters::{
    Combination,
    corpus::{self, Captured, Case},
};

pub use capture::{Capture, CapturedFrame, SampleFile, SampleFileError, frames};
pub use disagreement::Disagreement;
pub use mutants::{Detection, Mutant, all_caught, mutants, mutants_text};
pub use plan::{Choice, Gaps, Plan};
pub use program::Refusal;
pub use single::{SingleAnswer, ask, packet_from_hex};
pub use speed::{MeasuredPace, Speed, speed};
pub use subject::{Decided, Subject};
pub use table::{ComparedCombination, json, speeds, text};

use batches::Batches;
use plan::{LoadedPrograms, Stand};

/// What packets are made of.
pub struct Packets {
    /// Packets for each combination, over its programs and endpoints; never fewer for each than the boundaries are.
    pub count: u64,
    /// The same seed gives the same packets.
    pub seed: u64,
    /// Frames that somebody captured.
    pub captured: Vec<Captured>,
}

/// Compares everything of the plan, and says how far it is: packets decided, of how many.
///
/// A program that is refused is a row with the reason.
///
/// # Errors
/// Every program is refused; a combination of which no packet could be run.
pub fn verify(
    plan: &Plan,
    packets: &Packets,
    progress: &mut dyn FnMut(u64, u64),
) -> anyhow::Result<Vec<ComparedCombination>> {
    let mut done = Done { packets: 0, total: plan.combinations().len() as u64 * packets.count, progress };
    let mut rows: Vec<ComparedCombination> = Vec::new();
    for place in plan.places() {
        let LoadedPrograms { programs, refusals } = verify_place(plan, &place, packets, &mut done);
        for program in programs {
            row_of(&mut rows, program.combination).add(program);
        }
        for refusal in refusals {
            row_of(&mut rows, refusal.combination).refusals.push(refusal);
        }
    }
    anyhow::ensure!(!rows.is_empty(), "no program has these parameters, so that nothing was compared");
    if rows.iter().all(|row| row.packets == 0)
        && let Some(refusal) = rows.iter().find_map(|row| row.refusals.first())
    {
        anyhow::bail!("none of {} combinations: {}", rows.len(), refusal.reason);
    }
    for row in &rows {
        anyhow::ensure!(
            row.packets > 0 || !row.refusals.is_empty(),
            "{}: none of {} packets could be run, so that nothing is known",
            row.name(),
            row.not_runnable
        );
    }
    rows.sort_by_key(|row| plan.place_of(row.combination));
    Ok(rows)
}

fn row_of(rows: &mut Vec<ComparedCombination>, combination: Combination) -> &mut ComparedCombination {
    let at = rows.iter().position(|row| row.combination == combination).unwrap_or_else(|| {
        rows.push(ComparedCombination::of(combination));
        rows.len() - 1
    });
    &mut rows[at]
}

struct Done<'a> {
    packets: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

fn verify_place(plan: &Plan, place: &Stand, packets: &Packets, done: &mut Done<'_>) -> LoadedPrograms {
    let least = boundaries(place, packets);
    let LoadedPrograms { mut programs, mut refusals } =
        plan.load(place, |share| packets.count.div_ceil(share).max(least));
    let mut batches = Batches::of(cases(place, packets));
    let mut decided = Vec::new();
    while programs.iter().any(|program| program.left > 0) {
        let waiting = Instant::now();
        let batch = batches.next();
        let asked = programs.iter().filter(|program| program.left > 0).count();
        let share = waiting.elapsed() / asked as u32;
        for program in programs.iter_mut().filter(|program| program.left > 0) {
            match program.compare(batch, &mut decided, share) {
                Ok(asked) => done.packets += asked,
                Err(error) => {
                    program.left = 0;
                    refusals.push(Refusal::new(program.combination, program.filter, &error));
                }
            }
            (done.progress)(done.packets, done.total.max(done.packets));
        }
    }
    LoadedPrograms { programs, refusals }
}

/// What programs there are given: all packets, or those that a socket sends.
fn cases(place: &Stand, packets: &Packets) -> impl Iterator<Item = Case> + use<> {
    let way = place.way;
    corpus::cases(&place.site, &packets.captured, packets.seed).filter(move |case| way.takes(case))
}

/// How many of them are boundaries.
fn boundaries(place: &Stand, packets: &Packets) -> u64 {
    let count = corpus::boundaries(&place.site, &packets.captured);
    let all = corpus::cases(&place.site, &packets.captured, packets.seed).take(count);
    all.filter(|case| place.way.takes(case)).count() as u64
}

/// Packets in a second.
fn per_second(packets: u64, spent: Duration) -> f64 {
    packets as f64 / spent.as_secs_f64().max(f64::MIN_POSITIVE)
}
