//! What a number can be, whatever the packet: the ground for warnings.

use crate::meaning::Operation;

/// What an integer can be: not below, not above, and which bits can be set.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) bits: u64,
}

impl Bounds {
    pub(super) const fn up_to(max: u64) -> Self {
        Self { min: 0, max, bits: u64::MAX.unbounded_shr(max.leading_zeros()) }
    }

    pub(super) fn single(self) -> Option<u64> {
        (self.min == self.max).then_some(self.min)
    }

    /// Whether the two have no number in common.
    pub(super) fn excludes(self, other: Self) -> bool {
        let has_other_bits =
            |one: Self, other: Self| one.single().is_some_and(|value| value & !other.bits != 0);
        self.max < other.min
            || other.max < self.min
            || has_other_bits(self, other)
            || has_other_bits(other, self)
    }

    pub(super) fn with(self, operation: Operation, other: Self) -> Self {
        match operation {
            Operation::And => Self { min: 0, max: self.max.min(other.max), bits: self.bits & other.bits },
            Operation::Or | Operation::Xor => {
                Self::up_to((self.bits | other.bits).max(1)).with_bits(self.bits | other.bits)
            }
            Operation::Add => Self {
                min: self.min.saturating_add(other.min),
                ..Self::up_to(self.max.saturating_add(other.max).max(1))
            },
            Operation::Subtract => Self {
                min: self.min.saturating_sub(other.max),
                ..Self::up_to(self.max.saturating_sub(other.min))
            },
            Operation::ShiftLeft => match other.single() {
                Some(by) => Self {
                    min: self.min.unbounded_shl(by as u32),
                    max: self.max.saturating_mul(1 << by.min(63)),
                    bits: self.bits.unbounded_shl(by as u32),
                },
                None => Self::up_to(u64::MAX),
            },
            Operation::ShiftRight => match other.single() {
                Some(by) => Self {
                    min: self.min.unbounded_shr(by as u32),
                    max: self.max.unbounded_shr(by as u32),
                    bits: self.bits.unbounded_shr(by as u32),
                },
                None => Self::up_to(self.max),
            },
        }
    }

    fn with_bits(self, bits: u64) -> Self {
        Self { max: bits, bits, ..self }
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.single() {
            Some(value) => write!(f, "{value}"),
            None if self.bits != Self::up_to(self.max).bits => {
                write!(f, "from {} to {}, with bits of {:#x} alone", self.min, self.max, self.bits)
            }
            None => write!(f, "from {} to {}", self.min, self.max),
        }
    }
}
