//! How the moments of a schedule follow each other, by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How the moments of a schedule follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At even intervals.
    #[default]
    Constant,
    /// As a Poisson process: intervals are independent and exponentially distributed, as those of many independent
    /// senders together are.
    Poisson,
}

impl Arrivals {
    const ALL: [Self; 2] = [Self::Constant, Self::Poisson];

    /// The name on the command line and in samples.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        }
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Arrivals {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|arrivals| arrivals.as_str() == name)
            .ok_or_else(|| format!("unknown arrivals '{name}'; there are: constant, poisson"))
    }
}
