//! Conditions: on where they hold, elsewhere where they don't.
//!
//! Of the three values only two matter at each place: whether a condition is true, and, below `not`, whether it is false. Both are
//! made of the same questions of its parts, joined by `and` and `or`; what is absent answers neither.

use std::ops::RangeInclusive;

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Comparison, Condition};

use super::{Compiler, Refusal, check_len, integer::jump_constant};

/// What a condition is without its packet.
pub(super) enum Simplified {
    /// It is this for every packet.
    Always(bool),
    /// It depends on the packet.
    Sometimes(Condition),
}

/// Without the parts that are the same for every packet.
pub(super) fn simplified(condition: &Condition) -> Simplified {
    let joined = |parts: &[Condition], is_all: bool| {
        let mut left = Vec::new();
        for part in parts {
            match simplified(part) {
                Simplified::Always(truth) if truth == is_all => {}
                Simplified::Always(truth) => return Simplified::Always(truth),
                Simplified::Sometimes(part) => left.push(part),
            }
        }
        match left.len() {
            0 => Simplified::Always(is_all),
            1 => Simplified::Sometimes(left.remove(0)),
            _ if is_all => Simplified::Sometimes(Condition::All(left)),
            _ => Simplified::Sometimes(Condition::Any(left)),
        }
    };
    match condition {
        Condition::All(parts) => joined(parts, true),
        Condition::Any(parts) => joined(parts, false),
        Condition::Not(inner) => match simplified(inner) {
            Simplified::Always(truth) => Simplified::Always(!truth),
            Simplified::Sometimes(inner) => Simplified::Sometimes(Condition::Not(Box::new(inner))),
        },
        leaf => Simplified::Sometimes(leaf.clone()),
    }
}

impl Compiler<'_> {
    /// Falls through where the condition is `wanted`, and goes on at `otherwise` where it isn't or is absent. The condition
    /// is [`simplified`].
    pub(super) fn require(
        &mut self,
        code: &mut Code,
        condition: &Condition,
        wanted: bool,
        otherwise: Label,
    ) -> Result<(), Refusal> {
        check_len(code)?;
        match (condition, wanted) {
            (Condition::All(parts), true) | (Condition::Any(parts), false) => {
                for part in parts {
                    self.require(code, part, wanted, otherwise)?;
                }
            }
            (Condition::All(parts), false) | (Condition::Any(parts), true) => {
                let done = code.fresh_label();
                for (number, part) in parts.iter().enumerate() {
                    if number + 1 == parts.len() {
                        self.require(code, part, wanted, otherwise)?;
                    } else {
                        let next = code.fresh_label();
                        self.require(code, part, wanted, next)?;
                        ebpf! { in code;
                            ja $done
                        $next:
                        }
                    }
                }
                ebpf! { in code; $done: }
            }
            (Condition::Not(inner), _) => self.require(code, inner, !wanted, otherwise)?,
            (Condition::Compare(comparison, left, right), _) => {
                let comparison = if wanted { comparison.opposite() } else { *comparison };
                self.jump_if(code, (comparison, left, right), otherwise, otherwise)?;
            }
            (leaf, _) => {
                let holds = code.fresh_label();
                let (yes, no) = if wanted { (holds, otherwise) } else { (otherwise, holds) };
                match leaf {
                    Condition::Among(integer, ranges) => {
                        self.integer(code, integer, otherwise)?;
                        among(code, ranges, yes, no);
                    }
                    Condition::Text { field, ignores_case, texts } => {
                        self.text(code, *field, *ignores_case, texts, [yes, no, otherwise])?;
                    }
                    Condition::Name { field, is_below_enough, names } => {
                        self.name(code, *field, *is_below_enough, names, [yes, no, otherwise])?;
                    }
                    _ => unreachable!("the others are above"),
                }
                ebpf! { in code; $holds: }
            }
        }
        Ok(())
    }
}

/// So many ranges are asked one by one; more are halved.
const IN_A_ROW: usize = 4;

/// On at `yes` where r0 is in one of the ranges, which are sorted, else at `no`.
fn among(code: &mut Code, ranges: &[RangeInclusive<u64>], yes: Label, no: Label) {
    if ranges.len() > IN_A_ROW {
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let below = code.fresh_label();
        jump_constant(code, Comparison::Less, *high[0].start(), below);
        among(code, high, yes, no);
        ebpf! { in code; $below: }
        return among(code, low, yes, no);
    }
    for range in ranges {
        let (start, end) = (*range.start(), *range.end());
        if start == end {
            jump_constant(code, Comparison::Equal, start, yes);
        } else {
            if start > 0 {
                jump_constant(code, Comparison::Less, start, no);
            }
            jump_constant(code, Comparison::LessOrEqual, end, yes);
        }
    }
    ebpf! { in code; ja $no }
}
