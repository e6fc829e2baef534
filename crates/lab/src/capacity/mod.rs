//! Capacity: the highest rate that a server carries, for each place where the decision can be made.
//!
//! A [`plan::SearchPlan`] says what is searched for and where. [`conduct`] makes the trials, each a server and its clients at an
//! offered rate, and the searches' results become [`SearchRecord`]s and a [`summary::CapacitySummary`].

mod cost;
mod lab;
pub mod plan;
mod priority;
mod progress;
mod running;
pub mod search;
pub mod summary;
pub mod table;
mod trial;

pub use priority::Priority;
pub use trial::ServerCeiling;

use anyhow::Context as _;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom as _};
use weir_output::write_whole;
use weir_results::capacity::{
    SUMMARY,
    record::{SearchFile, SearchRecord},
};

use crate::experiment::{Unfinished, folder::Folder, interrupt::Interrupt};
use lab::Lab;
use plan::SearchPlan;
use progress::SearchProgress;
use running::RunningSearch;
use summary::CapacitySummary;

/// Makes the plan's trials, as far as `folder` doesn't hold them already, and sums up what they show.
///
/// # Errors
/// A signal came, a run failed or could not be used, or a file could not be written. The samples so far are kept.
pub fn conduct(
    folder: Folder,
    plan: &SearchPlan,
    interrupt: &Interrupt,
) -> Result<CapacitySummary, Unfinished> {
    let dir = folder.dir.clone();
    // The records follow from the samples: they are made again, not continued.
    let mut records = SearchFile::create(&dir)?;
    let priority = Priority::raise();
    let mut lab = Lab::new(folder, plan, interrupt);
    let result = searches(&mut lab, plan, &mut records).and_then(|(ceilings, searches)| {
        let costs = cost::measure(&mut lab, plan, &searches)?;
        Ok(CapacitySummary::new(plan, priority, ceilings, &searches, &costs))
    });
    lab.clear();
    let summary = result?;
    let json = serde_json::to_string_pretty(&summary).context("making JSON of the summary")?;
    write_whole(&dir.join(SUMMARY), format!("{json}\n").as_bytes())?;
    Ok(summary)
}

/// Repetition by repetition the invalid shares come in random order, and at each of them the placements are searched side
/// by side, so that what drifts meets all of them alike.
fn searches(
    lab: &mut Lab<'_>,
    plan: &SearchPlan,
    records: &mut SearchFile,
) -> Result<(Vec<trial::ServerCeiling>, Vec<SearchRecord>), Unfinished> {
    let seed = lab.seed();
    let mut random = StdRng::seed_from_u64(seed);
    let ceilings = trial::ceilings(lab, plan)?;
    let mut all = Vec::new();
    for repetition in 0..plan.searches {
        let mut shares = plan.invalid_percent.clone();
        shares.shuffle(&mut random);
        for share in shares {
            let here = ceilings.iter().filter(|ceiling| ceiling.cell.invalid_percent == share);
            let running = here.map(|ceiling| RunningSearch::new(plan, ceiling, repetition, seed)).collect();
            let runs = lab.runs();
            lab.tell(SearchProgress::begins);
            let ended = side_by_side(lab, share, running, &mut random)?;
            let made = lab.runs() > runs;
            lab.tell(|progress| progress.ends(made));
            for record in ended.iter().flat_map(|running| running.records(plan)) {
                records.append(&record)?;
                all.push(record);
            }
        }
    }
    Ok((ceilings, all))
}

/// Round by round a trial of each search that isn't over, in random order.
fn side_by_side(
    lab: &mut Lab<'_>,
    share: u8,
    mut running: Vec<RunningSearch>,
    random: &mut StdRng,
) -> Result<Vec<RunningSearch>, Unfinished> {
    let mut ended = Vec::new();
    while !running.is_empty() {
        let standing: Vec<_> = running.iter().map(RunningSearch::standing).collect();
        lab.tell(|progress| progress.stand(share, &standing));
        running.shuffle(random);
        let mut going_on = Vec::new();
        for mut search in running {
            match search.next() {
                Some(trial) => {
                    search.make(lab, trial)?;
                    going_on.push(search);
                }
                None => ended.push(search),
            }
        }
        running = going_on;
    }
    Ok(ended)
}
