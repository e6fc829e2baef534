//! What all searches together say: capacities with intervals, their ratios, and what the servers spend.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_results::{
    capacity::{
        Decider, SearchEnd,
        known::{self, Figures, Known, Range},
        record::SearchRecord,
    },
    stats::Estimate,
};

use super::{cost::CostRun, plan::SearchPlan, priority::Priority, spread::Spread, trial::ServerCeiling};

/// The file of a results folder that holds its summary.
pub const FILE: &str = "capacity.json";

/// What `weir capacity` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacitySummary {
    /// What was asked.
    pub plan: SearchPlan,
    /// The priority of servers and clients.
    pub priority: Priority,
    /// The generator's ceilings.
    pub ceilings: Vec<ServerCeiling>,
    /// The capacity of each placement at each share, for each goal.
    pub capacities: Vec<Capacity>,
    /// Of the placements to each other.
    pub ratios: Vec<CapacityRatio>,
    /// The servers' CPU time at a common rate.
    pub costs: Vec<CapacityCost>,
    /// Of the placements to each other.
    pub cost_ratios: Vec<CapacityRatio>,
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

/// What a server spends.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    pub runs: Vec<f64>,
}

/// A figure of each decider, by repetition.
type ByDecider = BTreeMap<Decider, Figures>;

impl CapacitySummary {
    pub(super) fn new(
        plan: &SearchPlan,
        priority: Priority,
        ceilings: Vec<ServerCeiling>,
        searches: &[SearchRecord],
        costs: &[CostRun],
    ) -> Self {
        let mut summary = Self {
            plan: plan.clone(),
            priority,
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
        let mut figures = ByDecider::new();
        for &placement in &self.plan.placements {
            let here = |record: &&SearchRecord| {
                (record.goal_name.as_str(), record.cell.invalid_percent, Decider::of(&record.cell))
                    == (goal, percent, placement)
            };
            let mut records: Vec<_> = searches.iter().filter(here).collect();
            records.sort_by_key(|record| record.search);
            let Some(capacity) = capacity(&records) else { continue };
            figures.insert(placement, records.iter().map(|record| (record.search, record.range())).collect());
            self.capacities.push(capacity);
        }
        self.ratios.extend(ratios(goal, percent, &figures));
    }

    fn add_costs(&mut self, percent: u8, costs: &[CostRun]) {
        let mut figures = ByDecider::new();
        for &placement in &self.plan.placements {
            let here =
                |run: &&CostRun| (run.cell.invalid_percent, Decider::of(&run.cell)) == (percent, placement);
            let runs: Vec<_> = costs.iter().filter(here).collect();
            let each = |of: fn(&CostRun) -> f64| runs.iter().map(|run| of(run)).collect::<Vec<_>>();
            let values = each(|run| run.us_per_packet);
            let estimates = (Estimate::of(&values), Estimate::of(&each(|run| run.core_percent)));
            let (Some(us_per_packet), Some(core_percent)) = estimates else { continue };
            let busy: Vec<_> = runs.iter().filter_map(|run| run.busy_percent).collect();
            let busy_percent = Estimate::of(&busy).filter(|_| busy.len() == runs.len());
            let figure = |run: &&CostRun| (run.repetition, Range::exactly(run.us_per_packet));
            figures.insert(placement, runs.iter().map(figure).collect());
            let (rate, invalid_percent, runs) = (runs[0].rate, percent, values);
            self.costs.push(CapacityCost {
                invalid_percent,
                placement,
                rate,
                us_per_packet,
                core_percent,
                busy_percent,
                runs,
            });
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
        placement: Decider::of(&first.cell),
        rate,
        valid_a_trial: rate.median * valid_share * first.result.goal.final_trial.as_secs_f64(),
        known: Known::rate(records.iter().all(|record| record.is_exact())),
        valid_goodput: Estimate::of(&goodputs),
        spread: Spread::of(records),
        searches,
        limited,
        out_of_trials: records.iter().filter(|record| record.result.end == SearchEnd::OutOfTrials).count(),
        trials: records.iter().map(|record| record.rest.samples.len()).sum(),
        unused: records.iter().map(|record| record.rest.unused.len() + record.rest.again.len()).sum(),
        under_load_s: records.iter().map(|record| record.rest.under_load_s).sum(),
    })
}

/// Each decider to each reference before it: the later one decides nearer to the sender.
fn ratios(of: &str, invalid_percent: u8, figures: &ByDecider) -> Vec<CapacityRatio> {
    let all: Vec<_> = figures.iter().collect();
    let pairs =
        all.iter().enumerate().flat_map(|(i, below)| all[i + 1..].iter().map(move |above| (above, below)));
    pairs
        .filter(|(_, (denominator, _))| denominator.is_reference())
        .filter_map(|((numerator, above), (denominator, below))| {
            let (known, pairs) = known::ratios(above, below);
            let ratio = Estimate::of(&pairs)?;
            Some(CapacityRatio {
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

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use crate::experiment::{definition::Profile, schedule};

    const PRIORITY: Priority = Priority { nice: 0, is_highest: false };

    /// What a search found: `None` for an upper bound that the generator kept from being found.
    fn record(
        plan: &SearchPlan,
        decider: Decider,
        search: u32,
        lower: u64,
        upper: Option<u64>,
    ) -> SearchRecord {
        let cells = schedule::of(&plan.definition().unwrap(), 0);
        let run = cells.into_iter().find(|run| Decider::of(&run.cell) == decider).unwrap();
        from_value(json!({
            "goal_name": "NDR", "search": search, "cell": run.cell, "goal": plan.goals[0].goal,
            "lower": lower, "upper": upper, "upper_by_loss": upper, "conditional_throughput": lower,
            "limited": upper.is_none(), "lower_trials": 3, "lower_exceeding": 1,
            "end": if upper.is_some() { "found" } else { "highest" }, "valid_goodput": lower / 100,
            "ceiling": 300_000.0, "highest": 270_000, "samples": [1, 2], "unused": [], "behind": [],
            "under_load_s": 1.0, "stolen_s": 0.0, "cores_s": 2.0, "others_s": 0.5, "seed": 0,
        }))
        .unwrap()
    }

    fn summary(user: [u64; 6], kernel: Option<[u64; 6]>) -> CapacitySummary {
        let plan = SearchPlan::of(Profile::Quick);
        let mut records = Vec::new();
        for search in 0..6 {
            let user = user[search as usize];
            records.push(record(&plan, Decider::USER, search, user, Some(user * 11 / 10)));
            let found = kernel.map(|rates| rates[search as usize]);
            let (lower, upper) = found.map_or((270_000, None), |rate| (rate, Some(rate * 11 / 10)));
            records.push(record(&plan, Decider::KERNEL, search, lower, upper));
        }
        CapacitySummary::new(&plan, PRIORITY, Vec::new(), &records, &[])
    }

    #[test]
    fn a_side_at_the_generators_ceiling_leaves_a_ratio_that_is_known_from_below() {
        let summary = summary([27_000, 30_000, 27_000, 30_000, 27_000, 30_000], None);
        let [ratio] = summary.ratios.as_slice() else { panic!("{:?}", summary.ratios) };
        assert_eq!((ratio.numerator, ratio.denominator), (Decider::KERNEL, Decider::USER));
        assert_eq!((ratio.known, ratio.excludes_one), (Known::AtLeast, true));
        assert_eq!((ratio.ratio.low, ratio.ratio.high), (9.0, 10.0));
        let limited: Vec<_> =
            summary.capacities.iter().map(|capacity| (capacity.limited, capacity.known)).collect();
        assert_eq!(limited, [(0, Known::Exactly), (6, Known::AtLeast)]);
        let user = &summary.capacities[0];
        assert_eq!((user.rate.median, user.valid_goodput.unwrap().median), (28_500.0, 285.0));
    }

    #[test]
    fn equal_capacities_are_not_told_apart() {
        let rates = [50_000, 60_000, 50_000, 60_000, 50_000, 60_000];
        let mut others = rates;
        others.reverse();
        let ratio = &summary(rates, Some(others)).ratios[0];
        assert_eq!((ratio.known, ratio.excludes_one), (Known::Exactly, false));
    }

    #[test]
    fn searches_that_differ_say_what_was_seen() {
        let summary = summary([20_000, 30_000, 20_000, 30_000, 20_000, 30_000], None);
        let spread = &summary.capacities[0].spread;
        assert_eq!(spread.highest_to_lowest, Some(1.5));
        assert!((spread.in_a_row.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(spread.why.len(), 2);
        assert_eq!(spread.why[1], "other processes used 25 % of the machine's cores meanwhile");
        assert!(
            spread.why[0].starts_with("of 18 full-length trials at the rates found, 6 lost more"),
            "{:?}",
            spread.why
        );
        assert!(summary.capacities[1].spread.why.is_empty(), "those of the kernel agree");
    }
}
