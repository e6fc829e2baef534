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
