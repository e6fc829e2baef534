//! The search for the highest load within a loss ratio, as in RFC 9971 (Multiple Loss Ratio Search).
//!
//! It reads no clock, makes no trial and draws no number: [`Search::next`] says which trial is wanted, and
//! [`Search::record`] takes what it showed. All trials count for all goals. The same results lead to the same trials, so
//! that a search goes on from recorded ones where it was ended.

mod grid;
mod load;
mod target;

use std::{collections::BTreeMap, time::Duration};

use weir_results::capacity::{Goal, GoalResult, SearchEnd};

use grid::{RateGrid, RateStep};
use load::{Class, TriedLoad};
use target::Demand;

/// What a search is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The goals, in the order in which they are reached; at least one.
    pub goals: Vec<Goal>,
    /// The lowest load tried, packets/s, above 0.
    pub lowest: u64,
    /// The highest load tried, packets/s.
    pub highest: u64,
    /// Trials after which the search ends without an answer.
    pub most_trials: u32,
}

/// A trial that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedTrial {
    step: RateStep,
    /// Offered rate, packets/s.
    pub rate: u64,
    /// For how long.
    pub duration: Duration,
}

/// What a trial showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialResult {
    /// Requests whose loss counts.
    pub sent: u64,
    /// Those of them that were lost.
    pub lost: u64,
    /// Whether the generator didn't offer what it was asked for: the load can't be called carried then, and if that
    /// makes it an upper bound, the bound is said to be the generator's.
    pub limited: bool,
}

impl TrialResult {
    /// The share that was lost, 0 to 1. Where nothing was sent nothing was carried: 1.
    pub fn loss_ratio(&self) -> f64 {
        if self.sent == 0 { 1.0 } else { self.lost as f64 / self.sent as f64 }
    }

    fn exceeds(&self, loss_ratio: f64) -> bool {
        self.limited || self.loss_ratio() > loss_ratio
    }
}

/// How a search goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// By this trial.
    Trial(WantedTrial),
    /// It is over: a result for each goal.
    Done(Vec<GoalResult>),
}

/// A search for several goals at once.
#[derive(Clone, Debug)]
pub struct Search {
    config: Config,
    grid: RateGrid,
    loads: BTreeMap<RateStep, TriedLoad>,
    trials: u32,
}

/// The bounds that count for a target (RFC 9971, section 4.8): the lowest load that is an upper bound, and the highest
/// lower bound below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    lower: Option<RateStep>,
    upper: Option<RateStep>,
}

impl Bounds {
    fn encloses(&self, step: RateStep) -> bool {
        self.lower.is_none_or(|lower| lower < step) && self.upper.is_none_or(|upper| step < upper)
    }
}

impl Search {
    /// A search that has no trial yet.
    pub fn new(config: Config) -> Self {
        let narrowest = config.goals.iter().map(|goal| goal.width).fold(1.0, f64::min);
        let grid = RateGrid::new(config.lowest, config.highest, narrowest);
        Self { config, grid, loads: BTreeMap::new(), trials: 0 }
    }

    /// Trials so far.
    pub fn trials(&self) -> u32 {
        self.trials
    }

    /// Between which rates the first goal's lies, packets/s, by the sternest of its targets that knows a bound.
    pub fn bounds_so_far(&self) -> (Option<u64>, Option<u64>) {
        let targets = self.config.goals.first().map(Demand::all).unwrap_or_default();
        let mut bounds = targets.iter().rev().map(|target| self.bounds(target));
        let known = bounds.find(|bounds| *bounds != Bounds { lower: None, upper: None });
        let rate = |step: Option<RateStep>| step.map(|step| self.grid.rate(step));
        known.map_or((None, None), |bounds| (rate(bounds.lower), rate(bounds.upper)))
    }

    /// The trial that is wanted now, or the results.
    pub fn next(&self) -> Next {
        if self.trials < self.config.most_trials
            && let Some(trial) = self.wanted()
        {
            return Next::Trial(trial);
        }
        Next::Done(self.config.goals.iter().map(|goal| self.result(goal)).collect())
    }

    /// Takes what `trial`, which [`Self::next`] gave, showed.
    pub fn record(&mut self, trial: WantedTrial, result: TrialResult) {
        self.loads.entry(trial.step).or_default().add(trial.duration, result);
        self.trials += 1;
    }

    /// The first target that isn't reached says what is wanted: a later trial may have overturned what an earlier
    /// target rested on.
    fn wanted(&self) -> Option<WantedTrial> {
        self.config.goals.iter().find_map(|goal| {
            let targets = Demand::all(goal);
            let before = std::iter::once(None).chain(targets.iter().map(Some));
            targets.iter().zip(before).find_map(|(target, before)| {
                let step = self.wanted_for(target, before)?;
                Some(WantedTrial { step, rate: self.grid.rate(step), duration: target.trial })
            })
        })
    }

    /// A load that is undecided for `target`, so that a trial of the target's duration brings it nearer to a decision,
    /// or nothing where its bounds are near enough: this is why a search ends.
    fn wanted_for(&self, target: &Demand, before: Option<&Demand>) -> Option<RateStep> {
        let bounds = self.bounds(target);
        if self.are_final(bounds, target) {
            return None;
        }
        let hints = before.map(|before| self.bounds(before));
        let hints = hints.into_iter().flat_map(|hint| [hint.lower, hint.upper]).flatten();
        let hint = hints.into_iter().find(|&hint| bounds.encloses(hint));
        Some(hint.unwrap_or_else(|| match bounds {
            Bounds { lower: None, upper: None } => self.grid.last(),
            Bounds { lower: None, upper: Some(upper) } => self.below(upper, target),
            Bounds { lower: Some(lower), upper: None } => self.above(lower, target),
            Bounds { lower: Some(lower), upper: Some(upper) } => lower.midpoint(upper),
        }))
    }

    fn are_final(&self, bounds: Bounds, target: &Demand) -> bool {
        match bounds {
            Bounds { lower: None, upper } => upper == Some(0),
            Bounds { lower: Some(lower), upper: None } => lower == self.grid.last(),
            Bounds { lower: Some(lower), upper: Some(upper) } => upper - lower <= self.steps(target),
        }
    }

    fn bounds(&self, target: &Demand) -> Bounds {
        let mut bounds = Bounds { lower: None, upper: None };
        for (&step, load) in &self.loads {
            match load.class(target) {
                Class::Lower => bounds.lower = Some(step),
                Class::Upper => return Bounds { upper: Some(step), ..bounds },
                Class::Undecided => {}
            }
        }
        bounds
    }

    /// A load below all upper bounds: what came through at the lowest of them would have come through alone, and
    /// otherwise as far below as the bounds known so far, each twice as far as the one before.
    fn below(&self, upper: RateStep, target: &Demand) -> RateStep {
        let passed = 1.0 - self.loads[&upper].mean_loss_ratio();
        let passing = self.grid.rate(upper) as f64 * passed / (1.0 - target.loss_ratio);
        self.grid.at_or_below(passing).min(upper.saturating_sub(self.reach(target, Class::Upper)))
    }

    fn above(&self, lower: RateStep, target: &Demand) -> RateStep {
        lower.saturating_add(self.reach(target, Class::Lower)).min(self.grid.last())
    }

    fn reach(&self, target: &Demand, class: Class) -> RateStep {
        let known = self.loads.values().filter(|load| load.class(target) == class).count();
        self.steps(target).saturating_mul(1 << known.saturating_sub(1).min(16))
    }

    fn steps(&self, target: &Demand) -> RateStep {
        self.grid.steps_within(target.width)
    }

    fn result(&self, goal: &Goal) -> GoalResult {
        let target = Demand::last(goal);
        let bounds = self.bounds(&target);
        let end = match bounds {
            _ if !self.are_final(bounds, &target) => SearchEnd::OutOfTrials,
            Bounds { lower: None, .. } => SearchEnd::Lowest,
            Bounds { upper: None, .. } => SearchEnd::Highest,
            _ => SearchEnd::Found,
        };
        let limited =
            bounds.upper.is_some_and(|upper| self.loads[&upper].class_by_loss(&target) != Class::Upper);
        let by_loss = self.loads.iter().find(|(_, load)| load.class_by_loss(&target) == Class::Upper);
        let counts = bounds.lower.map(|step| self.loads[&step].counts(&target));
        let (lower_trials, lower_exceeding) = counts.unwrap_or_default();
        GoalResult {
            goal: *goal,
            lower: bounds.lower.map(|step| self.grid.rate(step)),
            upper: bounds.upper.map(|step| self.grid.rate(step)),
            upper_by_loss: by_loss.map(|(&step, _)| self.grid.rate(step)),
            conditional_throughput: bounds.lower.map(|step| {
                self.grid.rate(step) as f64 * (1.0 - self.loads[&step].quantile_loss_ratio(&target))
            }),
            limited: limited || end == SearchEnd::Highest,
            lower_trials,
            lower_exceeding,
            end,
        }
    }
}
