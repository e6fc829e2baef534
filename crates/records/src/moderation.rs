//! Whether a server's reading is moderated, and what came of it.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use weir_filters::saved_as_text;

/// Whether a server that reads in batches naps once its socket is drained, so that many datagrams wake it once.
///
/// Naps are taken above a rate only, and are never longer than the receive buffer allows. With [`crate::Io::Simple`]
/// nothing is moderated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moderation {
    /// Never: each datagram wakes a server that waits.
    #[default]
    Off,
    /// For as long as the rate asks for, 100 µs at most.
    Auto,
    /// The same with another longest nap.
    AtMost(LongestNap),
}

/// A longest nap, 20 to 500 µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LongestNap {
    us: u16,
}

impl LongestNap {
    /// A shorter nap costs more, by its timer and its wake-up, than it saves.
    pub const LEAST: Duration = Duration::from_micros(20);
    /// Nothing but its end ends a nap: a server that is told to stop looks up after that.
    const MOST: Duration = Duration::from_micros(500);

    /// That long; nothing outside 20 to 500 µs.
    pub fn new(time: Duration) -> Option<Self> {
        let us = u16::try_from(time.as_micros()).ok()?;
        (Self::LEAST..=Self::MOST).contains(&time).then_some(Self { us })
    }

    const fn time(self) -> Duration {
        Duration::from_micros(self.us as u64)
    }
}

impl Moderation {
    /// The longest nap where nothing is said: what a request may wait at a rate that is moderated.
    const USUAL: Duration = Duration::from_micros(100);

    /// The longest nap; nothing where none is taken.
    pub const fn longest(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Auto => Some(Self::USUAL),
            Self::AtMost(longest) => Some(longest.time()),
        }
    }
}

impl fmt::Display for Moderation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::Auto => f.pad("auto"),
            Self::AtMost(LongestNap { us }) => f.pad(&us.to_string()),
        }
    }
}

impl FromStr for Moderation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let longest = || LongestNap::new(Duration::from_micros(text.parse().ok()?));
        match text {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            _ => longest().map(Self::AtMost).ok_or_else(|| {
                format!(
                    "'{text}' is neither 'auto' nor 'off', nor a longest nap from {} to {} microseconds",
                    LongestNap::LEAST.as_micros(),
                    LongestNap::MOST.as_micros()
                )
            }),
        }
    }
}

saved_as_text!(Moderation);

/// Naps that a server took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naps {
    /// How many.
    pub count: u64,
    /// Time spent in them all, microseconds; of several workers together.
    pub time_us: u64,
}

add_up! { Naps { count, time_us } }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_and_recorded_is_what_was_said() {
        for said in ["off", "auto", "20", "75", "500"] {
            let moderation: Moderation = said.parse().unwrap();
            assert_eq!(moderation.to_string(), said);
            let json = serde_json::to_string(&moderation).unwrap();
            assert_eq!(json, format!("\"{said}\""));
            assert_eq!(serde_json::from_str::<Moderation>(&json).unwrap(), moderation);
        }
    }

    #[test]
    fn naps_too_short_to_be_worth_it_and_too_long_to_stop_are_refused() {
        for said in ["", "on", "-1", "0", "19", "501", "100000", "65636", "1e2", "20us"] {
            let refused = said.parse::<Moderation>().unwrap_err();
            assert!(refused.contains("from 20 to 500 microseconds"), "{refused}");
        }
    }
}
