//! One comparison made true of a draft, or false.

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

use super::draft::Draft;
use crate::meaning::{Comparison, Condition, Integer, Truth};

/// Values that are tried of a side before it is given up.
const TRIES: usize = 24;

impl Draft<'_> {
    /// Whether a condition is true, or is false, as it is wanted.
    pub(super) fn is(&self, condition: &Condition, wanted: bool) -> bool {
        self.truth(condition) == Truth::of(Some(wanted))
    }

    /// Makes a comparison true, or false, as far as that is easy to do; what is made of several stays as it is.
    pub(super) fn satisfy(&mut self, leaf: &Condition, wanted: bool, rng: &mut StdRng) {
        match leaf {
            Condition::Compare(comparison, left, right) => {
                let comparison = if wanted { *comparison } else { comparison.opposite() };
                self.compare(comparison, [left, right], rng);
            }
            Condition::Among(integer, ranges) => {
                let ends = |range: &std::ops::RangeInclusive<u64>| [*range.start(), *range.end()];
                let beside = |[start, end]: [u64; 2]| [start.saturating_sub(1), end.saturating_add(1)];
                let mut values: Vec<u64> = if wanted {
                    let chosen = ranges.choose(rng).into_iter().chain(ranges.iter().take(TRIES));
                    chosen.flat_map(ends).collect()
                } else {
                    ranges.iter().take(TRIES).flat_map(|range| beside(ends(range))).chain([0]).collect()
                };
                values.retain(|value| ranges.iter().any(|range| range.contains(value)) == wanted);
                if self.reach(integer).is_some() && !self.is(leaf, wanted) {
                    self.set_one(integer, &values);
                }
            }
            Condition::Text { field, texts, .. } | Condition::Name { field, names: texts, .. } => {
                let Some(text) = texts.choose(rng) else {
                    return;
                };
                if wanted {
                    self.write_text(*field, text);
                    return;
                }
                let mut other = text.clone();
                if let Some(byte) = other.iter_mut().rev().find(|byte| byte.is_ascii_alphanumeric()) {
                    *byte = if *byte == b'q' { b'z' } else { b'q' };
                }
                let longer = [&text[..], b"q"].concat();
                let others: [&[u8]; 4] = [&[], &[0], &other, &longer];
                for other in others {
                    if self.write_text(*field, other) && self.is(leaf, wanted) {
                        return;
                    }
                }
            }
            Condition::All(_) | Condition::Any(_) | Condition::Not(_) => {}
        }
    }

    fn compare(&mut self, comparison: Comparison, [left, right]: [&Integer; 2], rng: &mut StdRng) {
        let (Some(one), Some(other)) = (self.reach(left), self.reach(right)) else {
            return;
        };
        if comparison.holds(one.cmp(&other)) {
            return;
        }
        let mut sides = [(left, comparison, other), (right, comparison.mirrored(), one)];
        if rng.random_bool(0.3) {
            sides.reverse();
        }
        for (side, comparison, beside) in sides {
            if !matches!(side, Integer::Constant(_)) && self.set_one(side, &near(side, comparison, beside)) {
                return;
            }
        }
    }

    /// Makes an integer one of these values, and says whether it is; what it tried in vain leaves no trace.
    fn set_one(&mut self, integer: &Integer, values: &[u64]) -> bool {
        values.iter().take(TRIES).any(|value| {
            let before = (self.payload.clone(), self.source);
            let is_set = self.set(integer, *value);
            if !is_set {
                (self.payload, self.source) = before;
            }
            is_set
        })
    }
}

/// Values that compare so with one, of which some may be what an integer can come to.
fn near(integer: &Integer, comparison: Comparison, beside: u64) -> Vec<u64> {
    let mut values = vec![beside, beside.wrapping_add(1), beside.wrapping_sub(1)];
    for constant in constants(integer) {
        values.extend([constant & constant.wrapping_neg(), constant]);
    }
    values.extend([0, 1]);
    values.retain(|value| comparison.holds(value.cmp(&beside)));
    values
}

/// The constants that an integer is made of.
pub(super) fn constants(integer: &Integer) -> Vec<u64> {
    let (mut constants, mut left) = (Vec::new(), vec![integer]);
    while let Some(integer) = left.pop() {
        match integer {
            Integer::Constant(value) => constants.push(*value),
            Integer::Binary(_, one, other) => left.extend([&**one, &**other]),
            _ => {}
        }
    }
    constants
}
