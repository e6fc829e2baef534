//! A search that is being made.

use std::time::Duration;

use super::{
    Ended,
    lab::{Lab, Order, Purpose},
    plan::Plan,
    record::{Rest, SearchRecord},
    search::{Next, Search, Trial, TrialResult},
    trial::{self, ServerCeiling},
};
use crate::sample::Sample;

/// How often a trial is made again in which the generator fell behind below its ceiling.
const AGAIN: u32 = 2;

/// A search of one cell, and the samples that it is made of.
pub(super) struct Running {
    search: Search,
    ceiling: ServerCeiling,
    repetition: u32,
    samples: Vec<u64>,
    unused: Vec<u64>,
    behind: Vec<u64>,
    under_load_s: f64,
    stolen_s: f64,
    cores_s: f64,
    others_s: f64,
}

impl Running {
    pub(super) fn new(plan: &Plan, ceiling: &ServerCeiling, repetition: u32) -> Self {
        Self {
            search: plan.search(ceiling.highest),
            ceiling: ceiling.clone(),
            repetition,
            samples: Vec::new(),
            unused: Vec::new(),
            behind: Vec::new(),
            under_load_s: 0.0,
            stolen_s: 0.0,
            cores_s: 0.0,
            others_s: 0.0,
        }
    }

    /// The trial that is wanted; nothing when the search is over.
    pub(super) fn next(&self) -> Option<Trial> {
        match self.search.next() {
            Next::Trial(trial) => Some(trial),
            Next::Done(_) => None,
        }
    }

    pub(super) fn make(&mut self, lab: &mut Lab<'_>, trial: Trial) -> Result<(), Ended> {
        let order = Order {
            purpose: Purpose::Search,
            cell: self.ceiling.cell.clone(),
            rate: trial.rate,
            packets: ((trial.rate as f64 * trial.duration.as_secs_f64()).round() as u64).max(1),
            repetition: self.repetition,
        };
        let mut result = self.usable(lab, &order)?;
        // So far below the ceiling, somebody else had the generator's core.
        for _ in 0..AGAIN {
            if !result.limited || trial.rate >= self.ceiling.highest {
                break;
            }
            self.unused.extend(self.samples.pop());
            result = self.usable(lab, &order)?;
        }
        self.search.record(trial, result);
        Ok(())
    }

    fn usable(&mut self, lab: &mut Lab<'_>, order: &Order) -> Result<TrialResult, Ended> {
        trial::usable(lab, order, trial::result, &mut |sample, used| {
            self.under_load_s += sample.wall_s.unwrap_or(0.0);
            self.stolen_s += sample.steal_s;
            let (cores, others) = of_the_cores(sample);
            self.cores_s += cores.as_secs_f64();
            self.others_s += others.as_secs_f64();
            (if used { &mut self.samples } else { &mut self.unused }).push(sample.index);
            if used && trial::is_behind(sample) {
                self.behind.push(sample.index);
            }
        })
    }

    /// A record for each goal; none before the search is over.
    pub(super) fn records(&self, plan: &Plan, seed: u64) -> Vec<SearchRecord> {
        let Next::Done(results) = self.search.next() else { return Vec::new() };
        let valid = 1.0 - f64::from(self.ceiling.cell.invalid_percent) / 100.0;
        let record = |(named, result): (&super::plan::NamedGoal, super::search::GoalResult)| SearchRecord {
            goal_name: named.name.clone(),
            search: self.repetition,
            cell: self.ceiling.cell.clone(),
            valid_goodput: result.conditional_throughput.map(|rate| rate * valid),
            result,
            rest: Rest {
                ceiling: self.ceiling.rate,
                highest: self.ceiling.highest,
                samples: self.samples.clone(),
                unused: self.unused.clone(),
                behind: self.behind.clone(),
                under_load_s: self.under_load_s,
                stolen_s: self.stolen_s,
                cores_s: self.cores_s,
                others_s: self.others_s,
                seed,
            },
        };
        plan.goals.iter().zip(results).map(record).collect()
    }
}

/// The time of all cores during a run, and what of it neither its server nor its clients used.
fn of_the_cores(sample: &Sample) -> (Duration, Duration) {
    let (mut all, mut busy) = (0, 0);
    for core in sample.surroundings.core_time.values() {
        let used = core.user_us + core.system_us + core.softirq_us;
        busy += used;
        all += used + core.idle_us + core.steal_us;
    }
    let own = sample.server_cost.cpu() + sample.client_cost.cpu();
    (Duration::from_micros(all), Duration::from_micros(busy).saturating_sub(own))
}
