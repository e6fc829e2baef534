//! A search that is being made.

use std::time::Duration;

use weir_results::{
    capacity::{
        Decider, GoalResult, Purpose,
        record::{Rest, SearchRecord},
    },
    cell::{Cell, ReceiveWork},
    sample::Sample,
};

use super::{
    Unfinished,
    lab::{Lab, RunOrder},
    plan::{NamedGoal, SearchPlan},
    progress::SearchBounds,
    search::{Next, Search, TrialResult, WantedTrial},
    trial::{self, ServerCeiling},
};

/// How often a trial is made again in which the generator fell behind below its ceiling.
const AGAIN: u32 = 2;

/// A trial is disturbed where others than its server and clients used more than this share of the cores' time. It is
/// told in clock ticks, of which a short trial has few: undisturbed ones show up to a tenth.
const DISTURBED: f64 = 0.15;
/// The same of the hypervisor.
const STOLEN: f64 = 0.05;
/// What is waited before a disturbed trial is made again, and how often it is.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// Disturbed trials that a search makes again: on a machine that is never calm it has to end too.
const PATIENCE: usize = 6;

/// A search of one cell, and the samples that it is made of.
pub(super) struct RunningSearch {
    search: Search,
    cell: Cell,
    repetition: u32,
    last_disturbed: bool,
    rest: Rest,
}

impl RunningSearch {
    pub(super) fn new(plan: &SearchPlan, ceiling: &ServerCeiling, repetition: u32, seed: u64) -> Self {
        Self {
            search: plan.search(ceiling.highest),
            cell: ceiling.cell.clone(),
            repetition,
            last_disturbed: false,
            rest: Rest {
                ceiling: ceiling.rate,
                highest: ceiling.highest,
                samples: Vec::new(),
                unused: Vec::new(),
                behind: Vec::new(),
                again: Vec::new(),
                disturbed: Vec::new(),
                under_load_s: 0.0,
                stolen_s: 0.0,
                cores_s: 0.0,
                others_s: 0.0,
                seed,
            },
        }
    }

    /// The trial that is wanted; nothing when the search is over.
    pub(super) fn next(&self) -> Option<WantedTrial> {
        match self.search.next() {
            Next::Trial(trial) => Some(trial),
            Next::Done(_) => None,
        }
    }

    /// Who is searched, and between which rates the first goal's lies.
    pub(super) fn standing(&self) -> SearchBounds {
        (Decider::of(&self.cell), self.search.bounds_so_far())
    }

    pub(super) fn make(&mut self, lab: &mut Lab<'_>, trial: WantedTrial) -> Result<(), Unfinished> {
        let order = RunOrder {
            purpose: Purpose::Search,
            cell: self.cell.clone(),
            rate: trial.rate,
            packets: ((trial.rate as f64 * trial.duration.as_secs_f64()).round() as u64).max(1),
            repetition: self.repetition,
        };
        let mut result = self.calm(lab, &order)?;
        // So far below the ceiling, somebody else had the generator's core.
        for _ in 0..AGAIN {
            if !result.limited || trial.rate >= self.rest.highest {
                break;
            }
            self.rest.unused.extend(self.rest.samples.pop());
            result = self.calm(lab, &order)?;
        }
        self.search.record(trial, result);
        Ok(())
    }

    /// A trial that nobody disturbed, as far as patience goes. Whether it is made again depends on who else used the cores
    /// and never on what was lost, so that it favours no result.
    fn calm(&mut self, lab: &mut Lab<'_>, order: &RunOrder) -> Result<TrialResult, Unfinished> {
        let mut pauses = PAUSES.iter();
        loop {
            let runs = lab.runs();
            let result = self.usable(lab, order)?;
            let Some(sample) = self.rest.samples.last().copied().filter(|_| self.last_disturbed) else {
                return Ok(result);
            };
            let Some(&pause) = pauses.next().filter(|_| self.rest.again.len() < PATIENCE) else {
                self.rest.disturbed.push(sample);
                return Ok(result);
            };
            self.rest.samples.pop();
            self.rest.again.push(sample);
            if lab.runs() > runs {
                lab.pause(pause)?;
            }
        }
    }

    fn usable(&mut self, lab: &mut Lab<'_>, order: &RunOrder) -> Result<TrialResult, Unfinished> {
        trial::usable(lab, order, trial::result, &mut |sample, used| {
            let rest = &mut self.rest;
            rest.under_load_s += sample.wall_s.unwrap_or(0.0);
            rest.stolen_s += sample.steal_s;
            let (cores, others) = of_the_cores(sample);
            self.last_disturbed = is_disturbed(sample);
            rest.cores_s += cores.as_secs_f64();
            rest.others_s += others.as_secs_f64();
            (if used { &mut rest.samples } else { &mut rest.unused }).push(sample.index);
            if used && trial::is_behind(sample) {
                rest.behind.push(sample.index);
            }
        })
    }

    /// A record for each goal; none before the search is over.
    pub(super) fn records(&self, plan: &SearchPlan) -> Vec<SearchRecord> {
        let Next::Done(results) = self.search.next() else { return Vec::new() };
        let valid = 1.0 - f64::from(self.cell.invalid_percent) / 100.0;
        let record = |(named, result): (&NamedGoal, GoalResult)| SearchRecord {
            goal_name: named.name.clone(),
            search: self.repetition,
            cell: self.cell.clone(),
            valid_goodput: result.conditional_throughput.map(|rate| rate * valid),
            result,
            rest: self.rest.clone(),
        };
        plan.goals.iter().zip(results).map(record).collect()
    }
}

/// Whether somebody else had the cores for so long that the trial says more about them.
fn is_disturbed(sample: &Sample) -> bool {
    let (cores, others) = of_the_cores(sample);
    let stolen = sample.surroundings.core_time.values().map(|core| core.steal_us).sum();
    others > cores.mul_f64(DISTURBED) || Duration::from_micros(stolen) > cores.mul_f64(STOLEN)
}

/// The time of all cores during a run, and what of it neither its server nor its clients used. Receive work that was
/// steered away from the sender counts as nobody's, but is theirs.
fn of_the_cores(sample: &Sample) -> (Duration, Duration) {
    let is_steered = sample.cell.conditions.receive_work == ReceiveWork::Server;
    let (mut all, mut busy) = (0, 0);
    for core in sample.surroundings.core_time.values() {
        let used = core.user_us + core.system_us + core.softirq_us;
        busy += if is_steered { used - core.softirq_us } else { used };
        all += used + core.idle_us + core.steal_us;
    }
    let own = sample.server_cost.cpu() + sample.client_cost.cpu();
    (Duration::from_micros(all), Duration::from_micros(busy).saturating_sub(own))
}
