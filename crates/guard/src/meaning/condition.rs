//! Conditions: what is asked of a packet.

use std::{cmp::Ordering, ops::RangeInclusive};

use super::{Field, FieldId, Integer, Packet, Truth};

/// How two integers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`.
    Equal,
    /// `!=`.
    Unequal,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
}

impl Comparison {
    /// Whether two integers in that order compare so.
    pub const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    /// The comparison that holds where this one doesn't.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::Unequal,
            Self::Unequal => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    /// The comparison of the sides the other way round.
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::Unequal => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// What is asked of a packet; its answer is a [`Truth`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Two integers compare so; absent where one of them is.
    Compare(Comparison, Integer, Integer),
    /// An integer is in one of the ranges, which are sorted and don't touch; absent where it is.
    Among(Integer, Vec<RangeInclusive<u64>>),
    /// The text that a field holds is one of these, sorted; absent where the field is.
    Text {
        /// Which field.
        field: FieldId,
        /// Whether A to Z count as a to z (`lower(x)`); the texts have none of A to Z then.
        ignores_case: bool,
        /// What it may be.
        texts: Vec<Vec<u8>>,
    },
    /// The domain name that a field holds is one of these, or below one of them, whatever the case of its letters (RFC 4343);
    /// absent where the field is.
    Name {
        /// Which field.
        field: FieldId,
        /// Whether names below count too (`under`).
        is_below_enough: bool,
        /// The names as packets have them, with A to Z as a to z; sorted.
        names: Vec<Vec<u8>>,
    },
    /// All of them; true where there is none.
    All(Vec<Condition>),
    /// One of them; false where there is none.
    Any(Vec<Condition>),
    /// The opposite; what is absent stays absent.
    Not(Box<Condition>),
}

impl Condition {
    /// What always holds.
    pub const TRUE: Self = Self::All(Vec::new());

    /// What must hold together for it to hold.
    pub fn conjuncts(&self) -> &[Self] {
        match self {
            Self::All(parts) => parts,
            single => std::slice::from_ref(single),
        }
    }

    /// What it comes to for a packet. Every part is asked, since none has an effect.
    pub fn of(&self, packet: &Packet<'_>, fields: &[Field]) -> Truth {
        match self {
            Self::Compare(comparison, left, right) => {
                let sides = left.of(packet, fields).zip(right.of(packet, fields));
                Truth::of(sides.map(|(left, right)| comparison.holds(left.cmp(&right))))
            }
            Self::Among(integer, ranges) => Truth::of(
                integer.of(packet, fields).map(|value| ranges.iter().any(|range| range.contains(&value))),
            ),
            Self::Text { field, ignores_case, texts } => {
                let held = fields[field.0].text(packet, fields);
                Truth::of(held.map(|held| {
                    let held = if *ignores_case { held.to_ascii_lowercase() } else { held.to_vec() };
                    texts.contains(&held)
                }))
            }
            Self::Name { field, is_below_enough, names } => {
                let held = fields[field.0].text(packet, fields);
                Truth::of(held.map(|held| {
                    let held = held.to_ascii_lowercase();
                    names.iter().any(|name| held == *name || *is_below_enough && is_below(&held, name))
                }))
            }
            Self::All(conditions) => Truth::all(conditions.iter().map(|each| each.of(packet, fields))),
            Self::Any(conditions) => Truth::any(conditions.iter().map(|each| each.of(packet, fields))),
            Self::Not(condition) => !condition.of(packet, fields),
        }
    }
}

/// Whether a name's last labels are those of another. Both are whole names as packets have them.
fn is_below(mut held: &[u8], name: &[u8]) -> bool {
    while let [label, rest @ ..] = held {
        held = &rest[usize::from(*label)..];
        if held == name {
            return true;
        }
    }
    false
}
