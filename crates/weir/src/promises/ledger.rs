//! What the ledger takes of the rate: client, server and filter, which count, beside loops that don't.

use std::collections::BTreeMap;

use weir_results::stats::paired_ratios;
use weir_service::client::{Behaviour, Percent, Step, Workload};

use super::{
    Bound, PromisedFigure, Runner, bare_loops,
    loads::{BEHAVIOUR, SIMPLE, ServedLoad, client_rate},
};

/// About a second of a sender of single packets: the two of a pair lie near each other.
const PACKETS: u64 = 250_000;

/// Pairs for each of the runs asked for. A receiver that sleeps between two packets is woken at its sender's cost, and
/// how often it sleeps changes from run to run.
const PAIRS: u32 = 3;

/// Where nothing is dropped every count is at work; where almost all is, little but the counts and the filter.
const INVALID_PERCENT: [u8; 2] = [0, 99];

pub(super) fn measure(runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<Vec<PromisedFigure>> {
    INVALID_PERCENT.into_iter().map(|percent| ratio(percent, runs, runner)).collect()
}

fn ratio(invalid_percent: u8, runs: u32, runner: &mut Runner<'_>) -> anyhow::Result<PromisedFigure> {
    let pinning = runner.pinning;
    let load = ServedLoad { packets: PACKETS, invalid_percent, ..SIMPLE };
    let steps = steps(&load)?;
    let mut uncounted = BTreeMap::new();
    let counted = runner.interleaved(&[load], PAIRS * runs, |repetition| {
        uncounted.insert(repetition, bare_loops::rate(&steps, pinning)?);
        Ok(())
    })?;
    let rates =
        counted[&load].iter().map(|(&repetition, sample)| (repetition, client_rate(sample))).collect();
    let what = format!(
        "packets/s at {invalid_percent} % invalid, one packet a send: client, server and filter with the ledger ÷ bare \
         loops without"
    );
    Ok(PromisedFigure::new(what, "", paired_ratios(&rates, &uncounted), Bound::AtLeast(0.97)))
}

/// What the clients of that load send.
fn steps(load: &ServedLoad) -> anyhow::Result<Vec<Step>> {
    let behaviour: &Behaviour = BEHAVIOUR.parse().map_err(anyhow::Error::msg)?;
    let workload = Workload {
        packets: load.packets,
        invalid_share: Percent::new(load.invalid_percent).expect("it is a constant below 100"),
        ..Workload::default()
    };
    Ok(behaviour.steps(&workload))
}
