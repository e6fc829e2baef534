//! What all searches together say, and what the servers spend.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_results::{
    capacity::{Capacities, CapacityCost, CapacityRatio, Decider, known::Range, record::SearchRecord},
    stats::Estimate,
};

use super::{cost::CostRun, plan::SearchPlan, priority::Priority, trial::ServerCeiling};

/// What `weir capacity` found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacitySummary {
    /// What was asked.
    pub plan: SearchPlan,
    /// The priority of servers and clients.
    pub priority: Priority,
    /// The generator's ceilings.
    pub ceilings: Vec<ServerCeiling>,
    /// The capacity of each placement at each share, for each goal, in the plan's order.
    #[serde(flatten)]
    pub found: Capacities,
    /// The servers' CPU time at a common rate.
    pub costs: Vec<CapacityCost>,
    /// Of the placements to each other.
    pub cost_ratios: Vec<CapacityRatio>,
}

impl CapacitySummary {
    pub(super) fn new(
        plan: &SearchPlan,
        priority: Priority,
        ceilings: Vec<ServerCeiling>,
        searches: &[SearchRecord],
        costs: &[CostRun],
    ) -> Self {
        let mut found = Capacities::of(searches);
        let place = |percent: u8, goal: &str| {
            let share = plan.invalid_percent.iter().position(|&one| one == percent);
            (share, plan.goals.iter().position(|named| named.name == goal))
        };
        found.capacities.sort_by_key(|one| {
            let placement = plan.placements.iter().position(|&decider| decider == one.placement);
            (place(one.invalid_percent, &one.goal), placement)
        });
        found.ratios.sort_by_key(|one| place(one.invalid_percent, &one.of));
        let shares = plan.invalid_percent.iter().map(|&percent| of_share(plan, percent, costs));
        let (costs, cost_ratios): (Vec<_>, Vec<_>) = shares.unzip();
        let (costs, cost_ratios) = (costs.concat(), cost_ratios.concat());
        Self { plan: plan.clone(), priority, ceilings, found, costs, cost_ratios }
    }
}

/// What the servers spend at a share of invalid packets.
fn of_share(plan: &SearchPlan, percent: u8, costs: &[CostRun]) -> (Vec<CapacityCost>, Vec<CapacityRatio>) {
    let mut found = Vec::new();
    let mut figures = BTreeMap::new();
    for &placement in &plan.placements {
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
        found.push(CapacityCost {
            invalid_percent,
            placement,
            rate,
            us_per_packet,
            core_percent,
            busy_percent,
            runs,
        });
    }
    (found, CapacityRatio::each("CPU", percent, &figures))
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};
    use weir_results::capacity::Known;

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
        let [ratio] = summary.found.ratios.as_slice() else { panic!("{:?}", summary.found.ratios) };
        assert_eq!((ratio.numerator, ratio.denominator), (Decider::KERNEL, Decider::USER));
        assert_eq!((ratio.known, ratio.excludes_one), (Known::AtLeast, true));
        assert_eq!((ratio.ratio.low, ratio.ratio.high), (9.0, 10.0));
        let limited: Vec<_> =
            summary.found.capacities.iter().map(|capacity| (capacity.limited, capacity.known)).collect();
        assert_eq!(limited, [(0, Known::Exactly), (6, Known::AtLeast)]);
        let user = &summary.found.capacities[0];
        assert_eq!((user.rate.median, user.valid_goodput.unwrap().median), (28_500.0, 285.0));
    }

    #[test]
    fn equal_capacities_are_not_told_apart() {
        let rates = [50_000, 60_000, 50_000, 60_000, 50_000, 60_000];
        let mut others = rates;
        others.reverse();
        let ratio = &summary(rates, Some(others)).found.ratios[0];
        assert_eq!((ratio.known, ratio.excludes_one), (Known::Exactly, false));
    }

    #[test]
    fn searches_that_differ_say_what_was_seen() {
        let summary = summary([20_000, 30_000, 20_000, 30_000, 20_000, 30_000], None);
        let spread = &summary.found.capacities[0].spread;
        assert_eq!(spread.highest_to_lowest, Some(1.5));
        assert!((spread.in_a_row.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(spread.why.len(), 2);
        assert_eq!(spread.why[1], "other processes used 25 % of the machine's cores meanwhile");
        assert!(
            spread.why[0].starts_with("of 18 full-length trials at the rates found, 6 lost more"),
            "{:?}",
            spread.why
        );
        assert!(summary.found.capacities[1].spread.why.is_empty(), "those of the kernel agree");
    }
}
