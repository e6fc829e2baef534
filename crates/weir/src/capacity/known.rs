//! What a figure is worth where the generator cut off a side of it.

use serde::Serialize;

use crate::stats::{Estimate, Kind};

/// How a figure stands to the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// It estimates it.
    Exactly,
    /// The true one is at least as high: the generator could not send more.
    AtLeast,
    /// The true one is at most as high.
    AtMost,
    /// Both sides were cut off, so it says nothing.
    NotAtAll,
}

impl Known {
    /// Of a rate that the generator may have limited.
    pub(super) const fn rate(limited: bool) -> Self {
        if limited { Self::AtLeast } else { Self::Exactly }
    }

    /// Of a ratio of two such rates.
    pub(super) const fn ratio(numerator: Self, denominator: Self) -> Self {
        match (numerator, denominator) {
            (Self::Exactly, Self::Exactly) => Self::Exactly,
            (Self::AtLeast, Self::Exactly) => Self::AtLeast,
            (Self::Exactly, Self::AtLeast) => Self::AtMost,
            _ => Self::NotAtAll,
        }
    }

    /// What is put before a number.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Exactly => "",
            Self::AtLeast => "≥ ",
            Self::AtMost => "≤ ",
            Self::NotAtAll => "unknown; at the generator's ceilings ",
        }
    }

    /// Whether the true ratio isn't 1, with the interval's confidence; too few runs show nothing.
    pub(super) fn excludes_one(self, ratio: &Estimate) -> bool {
        let (above, below) = (ratio.low > 1.0, ratio.high < 1.0);
        ratio.kind == Kind::Interval
            && match self {
                Self::Exactly => above || below,
                Self::AtLeast => above,
                Self::AtMost => below,
                Self::NotAtAll => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_bounded_by_the_side_that_was_cut_off() {
        let (exact, cut) = (Known::rate(false), Known::rate(true));
        assert_eq!(Known::ratio(exact, exact), Known::Exactly);
        assert_eq!(Known::ratio(cut, exact), Known::AtLeast);
        assert_eq!(Known::ratio(exact, cut), Known::AtMost);
        assert_eq!(Known::ratio(cut, cut), Known::NotAtAll);
    }

    #[test]
    fn only_an_interval_on_the_known_side_excludes_one() {
        let above = Estimate::of(&[1.1, 1.2, 1.2, 1.3, 1.3, 1.4]).unwrap();
        let below = Estimate::of(&[0.5, 0.6, 0.6, 0.7, 0.8, 0.9]).unwrap();
        let few = Estimate::of(&[1.1, 1.2]).unwrap();
        let all = |known: Known| [above, below, few].map(|ratio| known.excludes_one(&ratio));
        assert_eq!(all(Known::Exactly), [true, true, false]);
        assert_eq!(all(Known::AtLeast), [true, false, false]);
        assert_eq!(all(Known::AtMost), [false, true, false]);
        assert_eq!(all(Known::NotAtAll), [false, false, false]);
    }
}
