//! What all searches together say: capacities with intervals, their ratios, and what the servers spend.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{cost::CostRun, known::Known, plan::Plan, record::SearchRecord, spread::Spread, trial::Ceiling};
use crate::{
    cell::Placement,
    stats::{Estimate, paired_ratios},
};

/// The file of a results folder that holds its summary.
pub const FILE: &str = "capacity.json";

/// What `weir capacity` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What was asked.
    pub plan: Plan,
    /// The generator's ceilings.
    pub ceilings: Vec<Ceiling>,
    /// The capacity of each placement at each share, for each goal.
    pub capacities: Vec<Capacity>,
    /// Of the placements to each other.
    pub ratios: Vec<Ratio>,
    /// The servers' CPU time at a common rate.
    pub costs: Vec<Cost>,
    /// Of the placements to each other.
    pub cost_ratios: Vec<Ratio>,
}

/// The capacity of a placement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// `NDR` or `PDR`.
    pub goal: String,
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Where the decision is made.
    pub placement: Placement,
    /// Highest rate carried, packets/s offered, valid and invalid.
    pub rate: Estimate,
    /// Whether the generator could have sent more.
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
pub struct Ratio {
    /// `NDR`, `PDR`, or `CPU`.
    pub of: String,
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Whose figure is divided.
    pub numerator: Placement,
    /// By whose.
    pub denominator: Placement,
    /// The ratio.
    pub ratio: Estimate,
    /// Which side of it is known.
    pub known: Known,
    /// Whether its interval, as far as it is known, excludes 1.
    pub excludes_one: bool,
    /// The pairs' ratios.
    pub pairs: Vec<f64>,
}

/// What a server spends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Share of invalid packets, percent.
    pub invalid_percent: u8,
    /// Where the decision is made.
    pub placement: Placement,
    /// The rate offered, packets/s.
    pub rate: u64,
    /// CPU time of the server a packet offered, microseconds.
    pub us_per_packet: Estimate,
    /// CPU time of the server, percent of one core.
    pub core_percent: Estimate,
    /// The runs' microseconds a packet.
    pub runs: Vec<f64>,
}

/// A figure of each placement, by repetition.
type ByPlacement = BTreeMap<Placement, (Known, BTreeMap<u32, f64>)>;

impl Summary {
    pub(super) fn new(
        plan: &Plan,
        ceilings: Vec<Ceiling>,
        searches: &[SearchRecord],
        costs: &[CostRun],
    ) -> Self {
        let mut summary = Self {
            plan: plan.clone(),
            ceilings,
            capacities: Vec::new(),
            ratios: Vec::new(),
            costs: Vec::new(),
            cost_ratios: Vec::new(),
        };
        for &percent in &plan.invalid_percent {
            for named in &plan.goals {
                summary.add_goal(&named.name, percent, searches);
            }
            summary.add_costs(percent, costs);
        }
        summary
    }

    fn add_goal(&mut self, goal: &str, percent: u8, searches: &[SearchRecord]) {
        let mut figures = ByPlacement::new();
        for &placement in &self.plan.placements {
            let here = |record: &&SearchRecord| {
                (record.goal_name.as_str(), record.cell.invalid_percent, record.cell.placement)
                    == (goal, percent, placement)
            };
            let mut records: Vec<_> = searches.iter().filter(here).collect();
            records.sort_by_key(|record| record.search);
            let Some(capacity) = capacity(&records) else { continue };
            let rates = records.iter().map(|record| (record.search, record.rate())).collect();
            figures.insert(placement, (capacity.known, rates));
            self.capacities.push(capacity);
        }
        self.ratios.extend(ratios(goal, percent, &figures));
    }

    fn add_costs(&mut self, percent: u8, costs: &[CostRun]) {
        let mut figures = ByPlacement::new();
        for &placement in &self.plan.placements {
            let here =
                |run: &&CostRun| (run.cell.invalid_percent, run.cell.placement) == (percent, placement);
            let runs: Vec<_> = costs.iter().filter(here).collect();
            let each = |of: fn(&CostRun) -> f64| runs.iter().map(|run| of(run)).collect::<Vec<_>>();
            let values = each(|run| run.us_per_packet);
            let estimates = (Estimate::of(&values), Estimate::of(&each(|run| run.core_percent)));
            let (Some(us_per_packet), Some(core_percent)) = estimates else { continue };
            let by_repetition = runs.iter().map(|run| (run.repetition, run.us_per_packet)).collect();
            figures.insert(placement, (Known::Exactly, by_repetition));
            let (rate, invalid_percent, runs) = (runs[0].rate, percent, values);
            self.costs.push(Cost { invalid_percent, placement, rate, us_per_packet, core_percent, runs });
        }
        self.cost_ratios.extend(ratios("CPU", percent, &figures));
    }
}

/// What the searches of a cell for one goal say together.
fn capacity(records: &[&SearchRecord]) -> Option<Capacity> {
    let first = records.first()?;
    let searches: Vec<_> = records.iter().map(|record| record.rate()).collect();
    let limited = records.iter().filter(|record| record.result.limited).count();
    let goodputs: Vec<_> = records.iter().filter_map(|record| record.valid_goodput).collect();
    let rate = Estimate::of(&searches)?;
    let valid_share = 1.0 - f64::from(first.cell.invalid_percent) / 100.0;
    Some(Capacity {
        goal: first.goal_name.clone(),
        invalid_percent: first.cell.invalid_percent,
        placement: first.cell.placement,
        rate,
        valid_a_trial: rate.median * valid_share * first.result.goal.final_trial.as_secs_f64(),
        known: Known::rate(limited > 0),
        valid_goodput: Estimate::of(&goodputs),
        spread: Spread::of(records),
        searches,
        limited,
        trials: records.iter().map(|record| record.rest.samples.len()).sum(),
        unused: records.iter().map(|record| record.rest.unused.len()).sum(),
        under_load_s: records.iter().map(|record| record.rest.under_load_s).sum(),
    })
}

/// Each placement to each one before it: the later one decides nearer to the sender.
fn ratios(of: &str, invalid_percent: u8, figures: &ByPlacement) -> Vec<Ratio> {
    let all: Vec<_> = figures.iter().collect();
    let pairs =
        all.iter().enumerate().flat_map(|(i, below)| all[i + 1..].iter().map(move |above| (above, below)));
    pairs
        .filter_map(|((numerator, above), (denominator, below))| {
            let pairs = paired_ratios(&above.1, &below.1);
            let ratio = Estimate::of(&pairs)?;
            let known = Known::ratio(above.0, below.0);
            Some(Ratio {
                of: of.to_owned(),
                invalid_percent,
                numerator: **numerator,
                denominator: **denominator,
                ratio,
                known,
                excludes_one: known.excludes_one(&ratio),
                pairs,
            })
        })
        .collect()
}
