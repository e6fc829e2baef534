//! Experiments: a definition becomes a schedule, and each run of it a sample on the disk.

pub mod asking;
pub mod bench;
pub mod catalogue;
pub mod ceiling;
pub mod clients;
pub mod definition;
pub mod expected;
pub mod folder;
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
use weir_results::cell::name_of;

use bench::{Bench, RunError};
use folder::Folder;
use interrupt::{Interrupt, Interrupted};
use observed::Observed;
use precision::Precision;
use progress::RunProgress;
use schedule::Scheduled;
use so_far::{SoFar, point_of};

/// Most packets of the run that warms the machine up.
const WARM_UP_PACKETS: u64 = 100_000;

/// How the runs of a folder ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conducted {
    /// All that were due are made, some of them perhaps failed.
    Whole,
    /// A signal came; what was measured is kept.
    Interrupted,
}

/// Makes the runs that `folder` misses. With `events`, stdout gets each run as a JSON object a line.
///
/// # Errors
/// A cell's first run failed, or a sample could not be written. The samples so far are kept.
pub fn conduct(folder: &mut Folder, interrupt: &Interrupt, events: bool) -> anyhow::Result<Conducted> {
    let missing = folder.missing()?;
    for warning in &folder.saved().warnings {
        eprintln!("weir: {warning}");
    }
    match make_runs(folder, &missing, interrupt, events) {
        Ok(()) => Ok(Conducted::Whole),
        Err(CutShort::Interrupted) => Ok(Conducted::Interrupted),
        Err(CutShort::Because(error)) => Err(error),
    }
}

enum CutShort {
    Interrupted,
    Because(anyhow::Error),
}

impl From<Interrupted> for CutShort {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

fn make_runs(
    folder: &mut Folder,
    missing: &[Scheduled],
    interrupt: &Interrupt,
    events: bool,
) -> Result<(), CutShort> {
    let Some(first) = missing.first() else { return Ok(()) };
    let (definition, pinning) = (folder.definition.clone(), folder.manifest.pinning.clone());
    let bench =
        Bench { definition: &definition, pinning: &pinning, interrupt, ceiling: folder.manifest.ceiling };
    let mut so_far = SoFar::of(&folder.saved().samples);
    let is_due = |run: &Scheduled, so_far: &SoFar| {
        run.repetition < definition.runs
            || definition
                .precision
                .is_some_and(|precision| so_far.needs(&point_of(run, missing), precision.within))
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
fn warm_up(bench: &Bench<'_>, scheduled: &Scheduled) -> Result<(), CutShort> {
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
) -> Result<(), CutShort> {
    bench.interrupt.check()?;
    let sample = measure::measure(bench, scheduled)?;
    folder.append(&sample).map_err(CutShort::Because)?;
    progress.ran(&sample);
    let first_of_its_cell = !so_far.knows(&scheduled.cell);
    so_far.add(&sample);
    match sample.failure() {
        Some(message) if first_of_its_cell => Err(CutShort::Because(anyhow::anyhow!(
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
pub fn read_summary<T: DeserializeOwned>(name: &str, path: &Path) -> Result<T, RunError> {
    let failed =
        |error: &dyn std::fmt::Display| RunError::Failed(format!("reading the record of {name}: {error}"));
    let text = fs::read(path).map_err(|error| failed(&error))?;
    serde_json::from_slice(&text).map_err(|error| failed(&error))
}
