//! How the moments of a schedule follow each other, by name.

use serde::{Deserialize, Serialize};
use weir_filters::names;

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

names! {
    /// The name on the command line and in samples.
    "arrivals", Arrivals::as_str { Constant = "constant", Poisson = "poisson" }
}
