//! The order of a workload's valid and invalid packets, by its name.

use std::{
    cmp::{Ordering, Reverse},
    fmt,
    num::NonZeroU64,
    str::FromStr,
};

use weir_filters::saved_as_text;

/// The order in which valid and invalid packets leave. It decides what a valid packet costs its receiver: one that comes
/// alone wakes a sleeper, the second of a burst finds it awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mix {
    /// All valid packets, then all invalid ones.
    Blocks,
    /// Rounds of so many packets, each its valid ones first. n packets make n ÷ that many rounds, rounded down, at least
    /// one, and what is left over is spread over the rounds.
    Rounds(NonZeroU64),
    /// Invalid packets at even distances.
    Even,
    /// Every order is as likely as every other; the seed chooses.
    Random,
}

impl Mix {
    /// What `frigg` sends, as the report's does.
    pub const FRIGG: Self = Self::rounds(100);

    /// Rounds of `packets` packets.
    ///
    /// # Panics
    /// `packets` is 0.
    pub const fn rounds(packets: u64) -> Self {
        Self::Rounds(NonZeroU64::new(packets).expect("a round has a packet"))
    }

    /// Rounds that `packets` packets are sent in; nothing where the order has none.
    pub const fn rounds_of(self, packets: u64) -> Option<u64> {
        match self {
            Self::Blocks => Some(1),
            Self::Rounds(of) => Some(if packets < of.get() { 1 } else { packets / of.get() }),
            Self::Even | Self::Random => None,
        }
    }
}

/// From the order that alternates least to the one that does most.
impl Ord for Mix {
    fn cmp(&self, other: &Self) -> Ordering {
        let alternates = |mix: Self| match mix {
            Self::Blocks => (0, None),
            Self::Rounds(of) => (1, Some(Reverse(of))),
            Self::Random => (2, None),
            Self::Even => (3, None),
        };
        alternates(*self).cmp(&alternates(*other))
    }
}

impl PartialOrd for Mix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks => f.pad("blocks"),
            Self::Rounds(of) => f.pad(&format!("rounds:{of}")),
            Self::Even => f.pad("even"),
            Self::Random => f.pad("random"),
        }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "blocks" => Ok(Self::Blocks),
            "even" => Ok(Self::Even),
            "random" => Ok(Self::Random),
            _ => text.strip_prefix("rounds:").and_then(|of| of.parse().ok()).map(Self::Rounds).ok_or_else(|| {
                format!(
                    "unknown mix '{text}'; there are: blocks, rounds:N with 1 packet a round or more (frigg has \
                     rounds:100), even, random"
                )
            }),
        }
    }
}

saved_as_text!(Mix);
