//! The targets on the way to a search goal.

use std::time::Duration;

use weir_results::capacity::Goal;

/// Targets before the final one. Each is coarser and quicker than the next.
const PRECEDING: u32 = 2;

/// What loads are classified against: a goal's final demand, or a weaker one on the way there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Demand {
    pub(super) loss_ratio: f64,
    pub(super) exceed_ratio: f64,
    pub(super) trial: Duration,
    pub(super) duration_sum: Duration,
    /// Relative.
    pub(super) width: f64,
}

impl Demand {
    /// The final target of `goal`.
    pub(super) fn last(goal: &Goal) -> Self {
        Self {
            loss_ratio: goal.loss_ratio,
            exceed_ratio: goal.exceed_ratio,
            trial: goal.final_trial,
            duration_sum: goal.duration_sum,
            width: goal.width,
        }
    }

    /// The targets of `goal` in the order in which they are reached: duration sums grow geometrically from one initial trial
    /// to the goal's sum, and widths halve.
    pub(super) fn all(goal: &Goal) -> Vec<Self> {
        let growth = goal.initial_trial.as_secs_f64() / goal.duration_sum.as_secs_f64();
        let preceding = |before: u32| {
            let share = growth.powf(f64::from(before) / f64::from(PRECEDING)).min(1.0);
            let sum = goal.duration_sum.mul_f64(share).max(goal.initial_trial);
            Self {
                trial: goal.final_trial.min(sum),
                duration_sum: sum,
                width: 1.0 - (1.0 - goal.width).powi(1 << before),
                ..Self::last(goal)
            }
        };
        (1..=PRECEDING).rev().map(preceding).chain([Self::last(goal)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_grow_from_one_initial_trial_to_the_goal() {
        let goal = Goal {
            loss_ratio: 0.0,
            exceed_ratio: 0.5,
            initial_trial: Duration::from_secs(1),
            final_trial: Duration::from_secs(4),
            duration_sum: Duration::from_secs(9),
            width: 0.1,
        };
        let targets = Demand::all(&goal);
        let durations = targets.iter().map(|target| (target.trial.as_secs(), target.duration_sum.as_secs()));
        assert_eq!(durations.collect::<Vec<_>>(), [(1, 1), (3, 3), (4, 9)]);
        assert!(targets.is_sorted_by(|a, b| a.width > b.width));
        assert_eq!(targets[2], Demand::last(&goal));
    }
}
