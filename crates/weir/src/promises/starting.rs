//! How long a server takes from its start to its readiness.

use super::{Bound, PromisedFigure, Runner, loads, serving::ServedCell};

const STARTS: usize = 20;

pub(super) fn measure(runner: &Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    let definition = loads::definition(&loads::BATCH)?;
    let bench = runner.bench(&definition);
    let start = || -> anyhow::Result<f64> {
        let served = ServedCell::start(&bench)?;
        let taken = served.ready_in;
        served.end()?;
        Ok(taken.as_secs_f64() * 1e3)
    };
    let times = (0..STARTS).map(|_| start()).collect::<anyhow::Result<_>>()?;
    Ok(vec![PromisedFigure::new("start of weir serve to ready", "ms", times, Bound::AtMost(50.0))])
}
