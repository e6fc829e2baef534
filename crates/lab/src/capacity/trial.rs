//! Trials: runs at an offered rate, what they show about it, and how fast the generator can be at all.

use serde::Serialize;
use weir_results::{
    capacity::Purpose,
    cell::{Cell, name_of},
    sample::Sample,
};

use super::{
    Unfinished,
    lab::{Lab, RunOrder},
    plan::{CEILING_RUNS, SearchPlan},
    search::TrialResult,
};

/// Packets of one of them.
const CEILING_PACKETS: u64 = 100_000;
/// Far beyond what any sender reaches with one packet a send, packets/s.
const OUT_OF_REACH: u64 = 10_000_000;
/// A rate above this share of the ceiling says more about the generator than about the server.
const TRUSTED: f64 = 0.9;
/// A generator that achieves less than this share of the rate is behind schedule. Bounds are told to a few percent, so
/// that this asks for more than what marks a sample.
const ON_SCHEDULE: f64 = 0.99;
/// Runs at one load that can't be used, until something must be wrong.
const ATTEMPTS: u32 = 3;

/// The fastest that the generator sends to a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerCeiling {
    /// The server's cell, without rate and packets.
    pub cell: Cell,
    /// Median of what it reached, packets/s.
    pub rate: f64,
    /// Highest rate that is searched, packets/s: nine tenths of the ceiling, above which a trial is limited by it.
    pub highest: u64,
}

/// The ceiling of each of the plan's cells. It differs between them: on loopback the sender pays for receiving and
/// filtering.
pub(super) fn ceilings(lab: &mut Lab<'_>, plan: &SearchPlan) -> Result<Vec<ServerCeiling>, Unfinished> {
    let mut reached: Vec<_> = lab.cells().into_iter().map(|cell| (cell, Vec::new())).collect();
    for repetition in 0..CEILING_RUNS as u32 {
        for (cell, rates) in &mut reached {
            let order = RunOrder {
                purpose: Purpose::Ceiling,
                cell: cell.clone(),
                rate: OUT_OF_REACH,
                packets: CEILING_PACKETS,
                repetition,
            };
            rates.push(usable(lab, &order, told_rate, &mut |_, _| {})?);
        }
    }
    let ceiling = |(cell, mut rates): (Cell, Vec<f64>)| {
        rates.sort_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        ServerCeiling { cell, rate, highest: ((rate * TRUSTED) as u64).max(plan.lowest) }
    };
    Ok(reached.into_iter().map(ceiling).collect())
}

fn told_rate(sample: &Sample) -> Result<f64, String> {
    achieved_rate(sample).ok_or_else(|| "its clients were too quick to tell their rate".into())
}

/// Makes the run until `read` can use its sample, which it is to say why not; `each` hears of every sample, and whether
/// it was used.
pub(super) fn usable<T>(
    lab: &mut Lab<'_>,
    order: &RunOrder,
    read: impl Fn(&Sample) -> Result<T, String>,
    each: &mut dyn FnMut(&Sample, bool),
) -> Result<T, Unfinished> {
    let mut why = String::new();
    for _ in 0..ATTEMPTS {
        let sample = lab.sample(order)?;
        let result = match sample.flaws.first() {
            Some(flaw) => Err(flaw.to_string()),
            None => read(&sample),
        };
        each(&sample, result.is_ok());
        match result {
            Ok(value) => return Ok(value),
            Err(reason) => why = reason,
        }
    }
    Err(Unfinished::Because(anyhow::anyhow!(
        "{ATTEMPTS} runs of {} at {} packets/s in a row can't be used: {why}; when that is mended, {}",
        name_of(&order.cell),
        order.rate,
        lab.how_to_resume()
    )))
}

/// What a trial showed: loss by the clients' and the server's own counts of PUTs.
///
/// # Errors
/// Why it can't be used.
pub(super) fn result(sample: &Sample) -> Result<TrialResult, String> {
    let server = sample.server.as_ref().ok_or("the server left no record")?;
    let requests = &server.served.requests;
    let served = requests.put + requests.refused.capacity + requests.refused.overflow;
    let lost = sample.valid_sent.checked_sub(served).ok_or_else(|| {
        format!(
            "the server read {served} PUTs, the clients sent {}; does another client send to it?",
            sample.valid_sent
        )
    })?;
    Ok(TrialResult { sent: sample.valid_sent, lost, limited: is_behind(sample) })
}

/// Whether the generator didn't keep the rate asked for.
pub(super) fn is_behind(sample: &Sample) -> bool {
    let asked = sample.cell.conditions.rate.unwrap_or(0) as f64;
    achieved_rate(sample).is_some_and(|achieved| achieved < asked * ON_SCHEDULE)
}

/// Packets/s of all clients together; nothing where one doesn't tell.
fn achieved_rate(sample: &Sample) -> Option<f64> {
    let rates: Option<Vec<f64>> = sample.clients.iter().map(|client| client.achieved_rate).collect();
    rates.filter(|rates| !rates.is_empty()).map(|rates| rates.iter().sum())
}
