//! Search goals and the targets on the way to them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A search goal: which loss is borne, and how sure and how exact the answer must be (RFC 9971, section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// Goal loss ratio, from 0 to below 1: a trial that loses a larger share is a high-loss one.
    pub loss_ratio: f64,
    /// Goal exceed ratio, from 0 to below 1: the share of time that a lower bound may spend in high-loss trials.
    pub exceed_ratio: f64,
    /// Goal initial trial duration: the shortest trial used.
    #[serde(rename = "initial_trial_s", with = "seconds")]
    pub initial_trial: Duration,
    /// Goal final trial duration: shorter trials can only ever speak against a load.
    #[serde(rename = "final_trial_s", with = "seconds")]
    pub final_trial: Duration,
    /// Goal duration sum: how long a load is measured at most until it is classified.
    #[serde(rename = "duration_sum_s", with = "seconds")]
    pub duration_sum: Duration,
    /// Goal width, from above 0 to below 1: how far the bounds may lie apart, as a share of the upper one.
    pub width: f64,
}

/// Durations as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Targets before the final one. Each is coarser and quicker than the next.
const PRECEDING: u32 = 2;

/// What loads are classified against: a goal's final demand, or a weaker one on the way there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) loss_ratio: f64,
    pub(super) exceed_ratio: f64,
    pub(super) trial: Duration,
    pub(super) duration_sum: Duration,
    /// Relative.
    pub(super) width: f64,
}

impl Goal {
    /// The final target.
    pub(super) fn target(&self) -> Target {
        Target {
            loss_ratio: self.loss_ratio,
            exceed_ratio: self.exceed_ratio,
            trial: self.final_trial,
            duration_sum: self.duration_sum,
            width: self.width,
        }
    }

    /// The targets in the order in which they are reached: duration sums grow geometrically from one initial trial to
    /// the goal's sum, and widths halve.
    pub(super) fn targets(&self) -> Vec<Target> {
        let growth = self.initial_trial.as_secs_f64() / self.duration_sum.as_secs_f64();
        let preceding = |before: u32| {
            let share = growth.powf(f64::from(before) / f64::from(PRECEDING)).min(1.0);
            let sum = self.duration_sum.mul_f64(share).max(self.initial_trial);
            Target {
                trial: self.final_trial.min(sum),
                duration_sum: sum,
                width: 1.0 - (1.0 - self.width).powi(1 << before),
                ..self.target()
            }
        };
        (1..=PRECEDING).rev().map(preceding).chain([self.target()]).collect()
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
        let targets = goal.targets();
        let durations = targets.iter().map(|target| (target.trial.as_secs(), target.duration_sum.as_secs()));
        assert_eq!(durations.collect::<Vec<_>>(), [(1, 1), (3, 3), (4, 9)]);
        assert!(targets.is_sorted_by(|a, b| a.width > b.width));
        assert_eq!(targets[2], goal.target());
    }
}
