//! What a figure is worth where the generator cut off a side of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    number::{count, estimate},
    stats::{EndsKind, Estimate, Repetition, paired_ratios},
};

/// Between what a figure lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The figure is no lower.
    pub low: f64,
    /// It is no higher; infinity where no bound is known.
    pub high: f64,
}

impl Range {
    /// That value and no other.
    pub const fn exactly(value: f64) -> Self {
        Self { low: value, high: value }
    }

    fn is_exact(&self) -> bool {
        self.low == self.high
    }
}

/// A figure of each repetition.
pub type Figures = BTreeMap<Repetition, Range>;

/// The paired ratios of two figures, and which side of the true ones is known. Where it is one side only, they are the
/// ratios of the ends that bound it there.
pub fn ratios(numerator: &Figures, denominator: &Figures) -> (Known, Vec<f64>) {
    let low = |figures: &Figures| figures.iter().map(|(&key, range)| (key, range.low)).collect();
    let high = |figures: &Figures| figures.iter().map(|(&key, range)| (key, range.high)).collect();
    let pairs: Vec<_> =
        numerator.iter().filter_map(|(key, above)| Some((above, denominator.get(key)?))).collect();
    let says_something = |ratios: &[f64]| {
        ratios.len() == pairs.len() && ratios.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0)
    };
    let at_least = paired_ratios(&low(numerator), &high(denominator));
    let at_most = paired_ratios(&high(numerator), &low(denominator));
    if pairs.iter().all(|(above, below)| above.is_exact() && below.is_exact()) {
        (Known::Exactly, at_least)
    } else if says_something(&at_least) {
        (Known::AtLeast, at_least)
    } else if says_something(&at_most) {
        (Known::AtMost, at_most)
    } else {
        (Known::NotAtAll, paired_ratios(&low(numerator), &low(denominator)))
    }
}

/// How a figure stands to the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// It estimates it.
    Exactly,
    /// The true one is at least as high: the generator could not send more.
    AtLeast,
    /// The true one is at most as high.
    AtMost,
    /// It says nothing: both sides were cut off.
    NotAtAll,
}

impl Known {
    /// Of rates that were found.
    pub const fn rate(is_exact: bool) -> Self {
        if is_exact { Self::Exactly } else { Self::AtLeast }
    }

    /// Of a mean of two figures.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Exactly, known) | (known, Self::Exactly) => known,
            (one, other) if one == other => one,
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

    /// `rate`, packets/s, as text with its interval.
    pub fn rate_text(self, rate: &Estimate) -> String {
        format!("{}{}", self.sign(), estimate(rate, |rate| count(rate.round() as u64)))
    }

    /// Whether the true ratio isn't 1, with the interval's confidence; too few runs show nothing.
    pub fn excludes_one(self, ratio: &Estimate) -> bool {
        let (above, below) = (ratio.low > 1.0, ratio.high < 1.0);
        ratio.kind == EndsKind::Interval
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

    const CUT_OFF: Range = Range { low: 200.0, high: f64::INFINITY };
    const BETWEEN: Range = Range { low: 40.0, high: 80.0 };

    fn check(numerator: [Range; 2], denominator: [Range; 2], expected: (Known, [f64; 2])) {
        let figures = |ranges: [Range; 2]| (0..).zip(ranges).collect::<Figures>();
        let (known, pairs) = ratios(&figures(numerator), &figures(denominator));
        assert_eq!((known, pairs.as_slice()), (expected.0, expected.1.as_slice()));
    }

    #[test]
    fn a_ratio_is_bounded_by_the_side_that_was_cut_off() {
        let [exact, other] = [Range::exactly(100.0), Range::exactly(50.0)];
        check([exact, exact], [other, exact], (Known::Exactly, [2.0, 1.0]));
        check([CUT_OFF, exact], [other, other], (Known::AtLeast, [4.0, 2.0]));
        check([other, exact], [CUT_OFF, other], (Known::AtMost, [0.25, 2.0]));
        check([CUT_OFF, CUT_OFF], [CUT_OFF, other], (Known::NotAtAll, [1.0, 4.0]));
    }

    #[test]
    fn a_denominator_that_is_known_to_lie_below_something_bounds_a_ratio() {
        check([CUT_OFF, CUT_OFF], [BETWEEN, Range::exactly(50.0)], (Known::AtLeast, [2.5, 4.0]));
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
