//! What the searches of a folder say together: capacities with intervals, and their ratios.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Decider, SearchEnd,
    known::{self, Figures, Known},
    record::SearchRecord,
    spread::Spread,
};
use crate::{
    cell::Cell,
    number::{estimate, ratio},
    stats::Estimate,
};

/// What searches found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Capacities {
    /// The capacity of each placement, for each goal at each share of invalid packets.
    pub capacities: Vec<Capacity>,
    /// Of the placements to each other.
    pub ratios: Vec<CapacityRatio>,
}

/// The capacity of a placement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// `NDR` or `PDR`.
    pub goal: String,
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Where the decision is made.
    pub placement: Decider,
    /// The cell that was searched, without rate and packets.
    #[serde(skip)]
    pub cell: Cell,
    /// Highest rate carried, packets/s offered, valid and invalid.
    pub rate: Estimate,
    /// Whether the true one may be higher: the generator could not send more, or a search found no end.
    pub known: Known,
    /// Valid requests/s that come through at that rate.
    pub valid_goodput: Option<Estimate>,
    /// Valid requests of a final trial at that rate. Where they are fewer than one over the loss ratio, a single lost one
    /// exceeds it, and PDR is NDR.
    pub valid_a_trial: f64,
    /// The searches' rates, in their order.
    pub searches: Vec<f64>,
    /// How many of them the generator limited.
    pub limited: usize,
    /// How many of them ended without an answer, because they took too many trials.
    pub out_of_trials: usize,
    /// How far they lie apart, and why.
    pub spread: Spread,
    /// Trials of all of them, for all goals.
    pub trials: usize,
    /// Runs that could not be used and were made again.
    pub unused: usize,
    /// Time under load of all of them, seconds.
    pub under_load_s: f64,
}

/// A figure of one placement to that of another, paired by repetition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacityRatio {
    /// `NDR`, `PDR`, or `CPU`.
    pub of: String,
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Whose figure is divided.
    pub numerator: Decider,
    /// By whose.
    pub denominator: Decider,
    /// The ratio.
    pub ratio: Estimate,
    /// Which side of it is known.
    pub known: Known,
    /// Whether its interval, as far as it is known, excludes 1.
    pub excludes_one: bool,
    /// The pairs' ratios.
    pub pairs: Vec<f64>,
}

/// What a server spends at a rate that all carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityCost {
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Where the decision is made.
    pub placement: Decider,
    /// The rate offered, packets/s.
    pub rate: u64,
    /// CPU time of the server a packet offered, microseconds.
    pub us_per_packet: Estimate,
    /// CPU time of the server, percent of one core.
    pub core_percent: Estimate,
    /// How busy the server's core was, percent, the kernel's receiving included where it is steered there; nothing where
    /// the server has no core of its own.
    pub busy_percent: Option<Estimate>,
    /// The runs' microseconds a packet.
    #[serde(default)]
    pub runs: Vec<f64>,
}

impl Capacities {
    /// What `searches` say, by goal, share of invalid packets and placement.
    pub fn of(searches: &[SearchRecord]) -> Self {
        let mut found: BTreeMap<_, BTreeMap<_, Vec<_>>> = BTreeMap::new();
        for record in searches {
            let place = found.entry((record.goal_name.as_str(), record.cell.invalid_percent)).or_default();
            place.entry(Decider::of(&record.cell)).or_default().push(record);
        }
        let mut all = Self::default();
        for ((goal, percent), mut here) in found {
            for records in here.values_mut() {
                records.sort_by_key(|record| record.search);
            }
            all.capacities.extend(here.values().filter_map(|records| Capacity::of(records)));
            let ranges = |records: Vec<&SearchRecord>| {
                records.into_iter().map(|record| (record.search, record.range())).collect()
            };
            let figures = here.into_iter().map(|(decider, records)| (decider, ranges(records))).collect();
            all.ratios.extend(CapacityRatio::each(goal, percent, &figures));
        }
        all
    }
}

impl Capacity {
    /// What the searches of a cell for one goal say together; nothing without one.
    fn of(records: &[&SearchRecord]) -> Option<Self> {
        let first = records.first()?;
        let searches: Vec<_> = records.iter().map(|record| record.rate()).collect();
        let limited = records.iter().filter(|record| record.result.limited).count();
        let goodputs: Vec<_> = records.iter().filter_map(|record| record.valid_goodput).collect();
        let rate = Estimate::of(&searches)?;
        let valid_share = 1.0 - f64::from(first.cell.invalid_percent) / 100.0;
        Some(Self {
            goal: first.goal_name.clone(),
            invalid_percent: first.cell.invalid_percent,
            placement: Decider::of(&first.cell),
            cell: first.cell.clone(),
            rate,
            valid_a_trial: rate.median * valid_share * first.result.goal.final_trial.as_secs_f64(),
            known: Known::rate(records.iter().all(|record| record.is_exact())),
            valid_goodput: Estimate::of(&goodputs),
            spread: Spread::of(records),
            searches,
            limited,
            out_of_trials: records
                .iter()
                .filter(|record| record.result.end == SearchEnd::OutOfTrials)
                .count(),
            trials: records.iter().map(|record| record.rest.samples.len()).sum(),
            unused: records.iter().map(|record| record.rest.unused.len() + record.rest.again.len()).sum(),
            under_load_s: records.iter().map(|record| record.rest.under_load_s).sum(),
        })
    }

    /// The rate as text, with its interval, after a sign where the true one may be higher.
    pub fn text(&self) -> String {
        self.known.rate_text(&self.rate)
    }
}

impl CapacityRatio {
    /// Each placement's figure to that of each reference before it: the later one decides nearer to the sender.
    pub fn each(of: &str, invalid_percent: u8, figures: &BTreeMap<Decider, Figures>) -> Vec<Self> {
        let mut ratios = Vec::new();
        for (&denominator, below) in figures.iter().filter(|(decider, _)| decider.is_reference()) {
            for (&numerator, above) in figures.range(denominator..).skip(1) {
                let (known, pairs) = known::ratios(above, below);
                let Some(ratio) = Estimate::of(&pairs) else { continue };
                let (of, excludes_one) = (of.to_owned(), known.excludes_one(&ratio));
                ratios.push(Self {
                    of,
                    invalid_percent,
                    numerator,
                    denominator,
                    ratio,
                    known,
                    excludes_one,
                    pairs,
                });
            }
        }
        ratios
    }

    /// The ratio as text, with its interval, after a sign where one side of it is known.
    pub fn text(&self) -> String {
        format!("{}{}", self.known.sign(), estimate(&self.ratio, ratio))
    }
}
