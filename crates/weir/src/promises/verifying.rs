//! How fast `weir verify` is beside a bare loop over the system call that it is made of.

use std::collections::BTreeMap;

use weir_filters::{Combination, FilterName};
use weir_verify::{Choice, MeasuredPace, Packets, Plan, Speed, speed};

use super::{Bound, PromisedFigure};

/// Turns of each combination are in one value.
const REPETITIONS: usize = 6;

pub(super) fn measure() -> anyhow::Result<Vec<PromisedFigure>> {
    let plan = Plan::new(&Choice { filter: Some(FilterName::ValidCommand), ..Choice::default() })?;
    let packets = Packets { count: 1, seed: 1, captured: Vec::new() };
    let mut all = Vec::new();
    let mut each: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..REPETITIONS {
        let rates: Vec<_> = speed(&plan, &packets).into_iter().map(rates).collect::<anyhow::Result<_>>()?;
        // Every combination gets as many packets, so that the times add up as the rates' inverses do.
        let seconds = |side: usize| rates.iter().map(|(_, rates)| 1.0 / rates[side]).sum::<f64>();
        all.push(seconds(0) / seconds(1));
        for (name, [bare, verify]) in rates {
            each.entry(name).or_default().push(verify / bare);
        }
    }
    let what = "weir verify, packets/s ÷ calls/s of a bare loop, every toolkit and hook of valid-command";
    let of_each = each.into_iter().map(|(name, values)| (format!("  the same, {name}"), values));
    let rows = std::iter::once((what.to_owned(), all)).chain(of_each);
    Ok(rows.map(|(what, values)| PromisedFigure::new(what, "", values, Bound::AtLeast(0.7))).collect())
}

/// What the combination is called, and the rates of the bare loop and of the comparison.
fn rates(Speed { combination, pace }: Speed) -> anyhow::Result<(String, [f64; 2])> {
    let Combination { toolkit, hook, .. } = combination;
    match pace {
        MeasuredPace::Measured { bare, verify } => Ok((format!("{toolkit} at {hook}"), [bare, verify])),
        MeasuredPace::Refused { reason } => anyhow::bail!("{toolkit} at {hook}: {reason}"),
    }
}
