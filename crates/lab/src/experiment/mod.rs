//! Experiments: a definition becomes a schedule, and each run of it a sample on the disk.

pub mod asking;
pub mod at_the_sender;
pub mod bench;
pub mod catalogue;
pub mod ceiling;
pub mod clients;
pub mod definition;
pub mod expected;
pub mod failure;
pub mod folder;
pub mod grid;
pub mod interrupt;
pub mod machine;
pub mod manifest;
pub mod measure;
pub mod observed;
pub mod one_run;
pub mod precision;
pub mod process;
pub mod progress;
pub mod record;
pub mod schedule;
pub mod server;
pub mod site;
pub mod so_far;
pub mod template;
mod test_run;
pub mod udp_table;
mod validate;

use std::{fs, os::unix::process::CommandExt, path::Path, process::Command};

use serde::de::DeserializeOwned;
use thiserror::Error;
use weir_results::cell::name_of;

use bench::Bench;
use failure::{RunError, RunFailure};
use folder::Folder;
use interrupt::{Interrupt, Interrupted};
use observed::Observed;
use precision::Precision;
use progress::RunProgress;
use schedule::Scheduled;
use so_far::{SoFar, point_of};

/// Most packets of the run that warms the machine up.
const WARM_UP_PACKETS: u64 = 100_000;

/// Why not all is made that was due.
#[derive(Debug, Error)]
pub enum Unfinished {
    /// A signal came; what was measured is kept.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Something failed.
    #[error(transparent)]
    Because(#[from] anyhow::Error),
}

/// Makes the runs that `folder` misses; some of them perhaps fail. With `events`, stdout gets each run as a JSON object a
/// line.
///
/// # Errors
/// A signal came, a cell's first run failed, or a sample could not be written. The samples so far are kept.
pub fn conduct(folder: &mut Folder, interrupt: &Interrupt, events: bool) -> Result<(), Unfinished> {
    let missing = folder.missing()?;
    for warning in &folder.saved().warnings {
        eprintln!("weir: {warning}");
    }
    let Some(first) = missing.first() else { return Ok(()) };
    let (definition, pinning) = (folder.definition.clone(), folder.manifest.pinning.clone());
    let bench =
        Bench { definition: &definition, pinning: &pinning, interrupt, ceiling: folder.manifest.ceiling };
    let mut so_far = SoFar::of(&folder.saved().samples);
    let is_due = |run: &Scheduled, so_far: &SoFar| {
        run.repetition < definition.runs
            || definition
                .precision
                .is_some_and(|precision| so_far.needs(&point_of(run, &missing), precision.within))
    };
    let due = missing.iter().filter(|run| run.repetition < definition.runs).count() as u64;
    let mut progress = RunProgress::new(folder.saved().samples.len() as u64, due, events);
    let result = warm_up(&bench, first).and_then(|()| {
        missing.iter().try_for_each(|run| {
            if is_due(run, &so_far) {
                make_run(folder, &bench, run, &mut so_far, &mut progress)
            } else {
                Ok(())
            }
        })
    });
    if let (Some(precision), Ok(())) = (definition.precision, &result) {
        say_wider(&so_far, precision, &progress);
    }
    progress.clear();
    result
}

fn say_wider(so_far: &SoFar, precision: Precision, progress: &RunProgress) {
    for (cell, reached) in so_far.wider(precision.within) {
        let reached =
            reached.map_or("has no interval".into(), |share| format!("is at {:.1} %", share * 100.0));
        progress.say(&format!(
            "weir: {} after {} runs of '{}', the interval {reached}",
            precision.within,
            precision.max_runs,
            name_of(cell)
        ));
    }
}

/// One run whose sample nobody keeps: the first run of all would otherwise pay for cold caches. If it fails, so will
/// the first run that counts, and that one tells.
fn warm_up(bench: &Bench<'_>, scheduled: &Scheduled) -> Result<(), Unfinished> {
    let mut scheduled = scheduled.clone();
    scheduled.cell.packets = scheduled.cell.packets.min(WARM_UP_PACKETS);
    match one_run::run(bench, &scheduled, &mut Observed::default()) {
        Err(RunError::Interrupted(interrupted)) => Err(interrupted.into()),
        Ok(()) | Err(RunError::Failed(_)) => Ok(()),
    }
}

fn make_run(
    folder: &mut Folder,
    bench: &Bench<'_>,
    scheduled: &Scheduled,
    so_far: &mut SoFar,
    progress: &mut RunProgress,
) -> Result<(), Unfinished> {
    bench.interrupt.check()?;
    let sample = measure::measure(bench, scheduled)?;
    folder.append(&sample)?;
    progress.ran(&sample);
    let first_of_its_cell = !so_far.knows(&scheduled.cell);
    so_far.add(&sample);
    match sample.failure() {
        Some(message) if first_of_its_cell => Err(Unfinished::Because(anyhow::anyhow!(
            "the first run of '{}' failed: {message}; when that is mended, {}",
            name_of(&scheduled.cell),
            folder.how_to_resume()
        ))),
        Some(message) => {
            progress.say(&format!("weir: run {} failed: {message}", scheduled.index));
            Ok(())
        }
        None => Ok(()),
    }
}

/// A command of this very weir, even where its file was replaced since it started.
pub fn own_command(subcommand: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("weir").arg(subcommand);
    command
}

/// Reads the record that `name` left at `path`.
///
/// # Errors
/// It is missing, or no record.
pub fn read_summary<T: DeserializeOwned>(name: &str, path: &Path) -> Result<T, RunFailure> {
    let read = fs::read(path).and_then(|text| Ok(serde_json::from_slice(&text)?));
    read.map_err(|cause| RunFailure::Refused {
        tried: format!("reading the record of {name}"),
        cause: cause.into(),
    })
}
