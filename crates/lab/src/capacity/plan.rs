//! What is searched for, where, and how thoroughly.

use std::{fmt::Display, hash::Hash, time::Duration};

use serde::{Deserialize, Serialize};
use weir_output::exit::UsageError;
use weir_results::{
    capacity::{Decider, Goal, NAME},
    cell::ReceiveWork,
    topology::Topology,
};
use weir_service::Io;

use super::search::{Config, Next, Search, TrialResult};
use crate::experiment::{
    definition::{Definition, Profile},
    grid::{check_distinct, check_not_empty},
};

/// The servers that can be compared.
const DEFINITION: &str = include_str!("definition.toml");

/// Runs of which the median is a generator's ceiling.
pub(super) const CEILING_RUNS: u64 = 3;
/// About how long one of them takes.
pub(super) const CEILING_TIME: Duration = Duration::from_millis(500);
/// Trials after which a search is ended without an answer.
const MOST_TRIALS: u32 = 200;
/// The lowest rate tried, packets/s.
const LOWEST: u64 = 1_000;
/// The loss ratio of PDR, as FD.io CSIT has it.
const PARTIAL_DROP: f64 = 0.005;
/// CPU time is told by the kernel's ticks and by few wake-ups in a shorter run.
const COST_TIME: Duration = Duration::from_secs(1);
/// Time that a trial takes besides its duration: processes start, ask, and end.
const OVERHEAD: Duration = Duration::from_millis(150);

/// A goal and what the field calls the rate that it leads to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedGoal {
    /// `NDR` or `PDR`.
    pub name: String,
    /// The goal.
    #[serde(flatten)]
    pub goal: Goal,
}

/// What is searched for, where, and how thoroughly: the file `capacity.toml` of a results folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchPlan {
    /// Where the decision is made.
    pub placements: Vec<Decider>,
    /// Shares of invalid packets, percent, below 100.
    pub invalid_percent: Vec<u8>,
    /// Searches of each placement at each share.
    pub searches: u32,
    /// Runs of each placement at the common rate at which the server's CPU time is compared; 0 for none.
    pub cost_runs: u32,
    /// The lowest rate tried, packets/s.
    pub lowest: u64,
    /// Trials after which a search is ended without an answer.
    pub most_trials: u32,
    /// What lies between client and server.
    pub topology: Topology,
    /// On whose core the kernel does the work of receiving.
    #[serde(default)]
    pub receive_work: ReceiveWork,
    /// How the server reads and writes.
    pub io: Io,
    /// What is searched for.
    pub goals: Vec<NamedGoal>,
}

/// The file of a results folder that holds its plan.
pub const FILE: &str = "capacity.toml";

impl SearchPlan {
    /// The plan of a profile.
    ///
    /// The quick profiles try a rate in several short trials. Where something takes the server's core for some milliseconds
    /// about once a second, half of the trials of 500 ms lose packets at any rate, and with an exceed ratio of 0.5 chance
    /// decides; of those of 100 ms few do.
    pub fn of(profile: Profile) -> Self {
        let both = vec![Decider::USER, Decider::KERNEL];
        let (placements, invalid_percent, searches, milliseconds, width) = match profile {
            Profile::Quick => (both, vec![99], 2_u32, [100, 100, 500], 0.1),
            Profile::Standard => (both, vec![0, 50, 99], 6, [100, 100, 700], 0.05),
            Profile::Paper => (
                vec![Decider::PLAIN, Decider::USER, Decider::KERNEL],
                vec![0, 1, 25, 50, 75, 99],
                10,
                [1_000, 5_000, 15_000],
                0.02,
            ),
        };
        let [initial_trial, final_trial, duration_sum] = milliseconds.map(Duration::from_millis);
        let goal = |name: &str, loss_ratio| NamedGoal {
            name: name.into(),
            goal: Goal { loss_ratio, exceed_ratio: 0.5, initial_trial, final_trial, duration_sum, width },
        };
        Self {
            placements,
            invalid_percent,
            searches,
            cost_runs: searches.max(6),
            lowest: LOWEST,
            most_trials: MOST_TRIALS,
            topology: Topology::Veth,
            receive_work: ReceiveWork::Server,
            io: Io::default(),
            goals: vec![goal("NDR", 0.0), goal("PDR", PARTIAL_DROP)],
        }
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// What is wrong, and what would be right: a [`UsageError`].
    pub fn check(&self) -> Result<(), UsageError> {
        let wrong = |text: String| Err(UsageError(text));
        if let Some(percent) = self.invalid_percent.iter().find(|&&percent| percent > 99) {
            return wrong(format!(
                "{percent} % invalid: capacity is the loss of valid requests, so there must be some; take 0 to 99"
            ));
        }
        check_list("--invalid", &self.invalid_percent)?;
        check_list("--placements", &self.placements)?;
        if self.topology == Topology::Loopback {
            if self.receive_work == ReceiveWork::Server {
                return wrong(
                    "--receive-work server: what loopback receives can't be steered; take --topology veth, or \
                     --receive-work sender"
                        .into(),
                );
            }
            if let Some(decider) = self.placements.iter().find(|decider| decider.is_below_the_socket()) {
                return wrong(format!(
                    "--placements {decider}: the loopback interface is everybody's; take --topology veth"
                ));
            }
        }
        if self.searches == 0 {
            return wrong("--searches 0: nothing is found by no search".into());
        }
        for NamedGoal { name, goal } in &self.goals {
            if goal.initial_trial.is_zero() || goal.initial_trial > goal.duration_sum {
                return wrong(format!(
                    "{name}: the first trial is to be longer than 0 and no longer than --sum"
                ));
            }
            if goal.final_trial < goal.initial_trial || goal.final_trial > goal.duration_sum {
                return wrong(format!("{name}: the final trial must lie between the first one and --sum"));
            }
            if !(0.001..=0.5).contains(&goal.width) {
                return wrong(format!("{name}: the width must lie between 0.1 % and 50 %"));
            }
        }
        Ok(())
    }

    /// The definition whose cells are searched, one run of each.
    ///
    /// # Errors
    /// It can't be run.
    pub fn definition(&self) -> Result<Definition, UsageError> {
        let mut definition = Definition::parse(DEFINITION, "the capacity search's definition")?;
        definition.name = NAME.into();
        definition.grid.invalid_percent.clone_from(&self.invalid_percent);
        definition.grid.topology = vec![self.topology];
        definition.grid.receive_work = vec![self.receive_work];
        definition.placements.retain(|row| self.placements.iter().any(|decider| decider.name() == row.id()));
        definition.placements.iter_mut().for_each(|row| row.io = self.io);
        Ok(definition)
    }

    /// What a search is given where the generator reaches `highest` packets/s.
    pub fn search(&self, highest: u64) -> Search {
        Search::new(Config {
            goals: self.goals.iter().map(|named| named.goal).collect(),
            lowest: self.lowest.min(highest),
            highest,
            most_trials: self.most_trials,
        })
    }

    /// How long a run at the common rate takes.
    pub fn cost_time(&self) -> Duration {
        self.goals.iter().map(|named| named.goal.final_trial).fold(COST_TIME, Duration::max)
    }

    /// About how many runs it takes, and how long: with the trials of a search for a capacity in the middle of its range.
    pub fn budget(&self) -> (u64, Duration) {
        let cells = self.placements.len() as u64 * self.invalid_percent.len() as u64;
        let typical = self.typical_trials();
        let trial_time: Duration = typical.iter().sum();
        let searches = cells * u64::from(self.searches);
        let costs = cells * u64::from(self.cost_runs);
        let ceilings = cells * CEILING_RUNS;
        let cost_time = self.cost_time();
        let runs = searches * typical.len() as u64 + costs + ceilings;
        let time = trial_time * searches as u32
            + cost_time * costs as u32
            + CEILING_TIME * ceilings as u32
            + OVERHEAD * runs as u32;
        (runs, time)
    }

    fn typical_trials(&self) -> Vec<Duration> {
        const HIGHEST: u64 = 200_000;
        const CAPACITY: u64 = 100_000;
        let mut search = self.search(HIGHEST);
        let mut durations = Vec::new();
        while let Next::Trial(trial) = search.next() {
            let lost = trial.rate.saturating_sub(CAPACITY);
            search.record(trial, TrialResult { sent: trial.rate, lost, limited: false });
            durations.push(trial.duration);
        }
        durations
    }
}

fn check_list<T: Eq + Hash + Display>(what: &str, list: &[T]) -> Result<(), UsageError> {
    check_not_empty(what, list).and_then(|()| check_distinct(what, list)).map_err(UsageError)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: [Profile; 3] = [Profile::Quick, Profile::Standard, Profile::Paper];

    #[test]
    fn every_profile_can_be_carried_out_and_survives_its_file() {
        for plan in PROFILES.map(SearchPlan::of) {
            plan.check().unwrap();
            let definition = plan.definition().unwrap();
            assert_eq!(definition.placements.len(), plan.placements.len());
            assert_eq!(toml::from_str::<SearchPlan>(&toml::to_string(&plan).unwrap()).unwrap(), plan);
        }
    }

    #[test]
    fn more_thorough_profiles_take_longer() {
        assert!(PROFILES.map(|profile| SearchPlan::of(profile).budget().1).is_sorted());
    }

    fn check(change: impl FnOnce(&mut SearchPlan), expected: &str) {
        let mut plan = SearchPlan::of(Profile::Quick);
        change(&mut plan);
        let error = plan.check().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_refused() {
        check(|plan| plan.invalid_percent = vec![100], "there must be some");
        check(|plan| plan.invalid_percent = vec![5, 5], "5 stands there twice");
        check(|plan| plan.invalid_percent.clear(), "--invalid is empty");
        check(|plan| plan.placements.clear(), "--placements is empty");
        check(|plan| plan.searches = 0, "--searches 0");
        check(|plan| plan.goals[0].goal.initial_trial = Duration::ZERO, "longer than 0");
        check(
            |plan| plan.goals[1].goal.final_trial = Duration::from_secs(9),
            "between the first one and --sum",
        );
        check(|plan| plan.goals[1].goal.width = 0.9, "width");
    }
}
