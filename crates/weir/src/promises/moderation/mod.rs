//! What moderated reading saves of CPU time, and that no request waits or is lost for it.

mod bursts;
mod ending;
mod saving;
mod timer;
mod waiting;

use weir_lab::experiment::definition::Definition;
use weir_results::cell::Placement;
use weir_service::Moderation;

use super::{PromisedFigure, Runner, loads, serving::ServedCell};

/// What is compared.
const BOTH: [Moderation; 2] = [Moderation::Off, Moderation::Auto];

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let mut figures = saving::measure(runs, runner)?;
    figures.extend(timer::measure(runs, runner)?);
    figures.extend(waiting::measure(runs, runner)?);
    figures.extend(ending::measure(runs, runner)?);
    figures.extend(bursts::measure(runs, runner)?);
    Ok(figures)
}

/// The same done with a server of either kind in turn, `runs` times.
fn compare<T>(
    runs: u32,
    runner: &mut Runner<'_>,
    what: &str,
    flags: &[&str],
    mut each: impl FnMut(ServedCell, &Runner<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<[T; 2]>> {
    (0..runs)
        .map(|run| {
            (runner.say)(&format!("run {} of {runs}: {what}, moderation off and auto", run + 1));
            let [off, auto] = BOTH.map(|moderation| {
                let definition = definition(moderation, flags)?;
                each(ServedCell::start(&runner.bench(&definition))?, runner)
            });
            Ok([off?, auto?])
        })
        .collect()
}

/// A server that decides by itself: what is compared is its reading.
fn definition(moderation: Moderation, flags: &[&str]) -> anyhow::Result<Definition> {
    let load = loads::ServedLoad { placement: Placement::Plain, moderation, ..loads::BATCH };
    let mut definition = loads::definition(&load)?;
    definition.server_flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    Ok(definition)
}
