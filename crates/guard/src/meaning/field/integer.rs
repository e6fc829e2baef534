//! Integers that are made of a packet.

use super::{Field, FieldId};
use crate::meaning::Packet;

/// How many bytes an integer in a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// `u8`.
    One = 1,
    /// `u16`.
    Two = 2,
    /// `u32`.
    Four = 4,
    /// `u64`.
    Eight = 8,
}

impl Width {
    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// The largest integer of that width.
    pub const fn max(self) -> u64 {
        u64::MAX >> (64 - 8 * self as u32)
    }
}

/// Which byte of an integer comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The most significant one, as in most protocols ("network byte order").
    Big,
    /// The least significant one (`le`).
    Little,
}

/// What is done with two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `+`; absent where it doesn't fit 64 bits.
    Add,
    /// `-`; absent where it would be below 0.
    Subtract,
    /// `&`.
    And,
    /// `|`.
    Or,
    /// `^`.
    Xor,
    /// `<<`; absent where a bit would be lost.
    ShiftLeft,
    /// `>>`; 0 where all bits are shifted out.
    ShiftRight,
}

impl Operation {
    /// The result, or nothing where it is absent.
    pub fn apply(self, left: u64, right: u64) -> Option<u64> {
        match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::And => Some(left & right),
            Self::Or => Some(left | right),
            Self::Xor => Some(left ^ right),
            Self::ShiftLeft => {
                let bits = u32::try_from(right).ok()?;
                let shifted = left.checked_shl(bits).unwrap_or(0);
                (shifted.checked_shr(bits).unwrap_or(0) == left).then_some(shifted)
            }
            Self::ShiftRight => {
                Some(u32::try_from(right).ok().and_then(|bits| left.checked_shr(bits)).unwrap_or(0))
            }
        }
    }
}

/// An unsigned integer of up to 64 bits that is made of a packet, or absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Integer {
    /// The same for every packet.
    Constant(u64),
    /// `len`: bytes of the payload, by UDP's length field.
    Len,
    /// `source_port`: the UDP source port.
    SourcePort,
    /// What a field holds: an integer, a variable-length integer or a decimal number.
    Field(FieldId),
    /// `start(x)`: the offset of the first byte that a field holds, behind its length where it has one.
    Start(FieldId),
    /// `end(x)`: the offset of the first byte behind a field, from the payload's first.
    End(FieldId),
    /// Two integers and what is done with them; absent where one of them is.
    Binary(Operation, Box<Integer>, Box<Integer>),
}

impl Integer {
    /// What it comes to for a packet, or nothing where it is absent.
    pub fn of(&self, packet: &Packet<'_>, fields: &[Field]) -> Option<u64> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Len => Some(packet.len.into()),
            Self::SourcePort => Some(packet.source.port().into()),
            Self::Field(field) => fields[field.0].number(packet, fields),
            Self::Start(field) => fields[field.0].extent(packet, fields).map(|extent| extent.start),
            Self::End(field) => fields[field.0].extent(packet, fields).map(|extent| extent.end),
            Self::Binary(operation, left, right) => {
                operation.apply(left.of(packet, fields)?, right.of(packet, fields)?)
            }
        }
    }
}
