//! Integers of a packet, in A: of 32 bits, and how many of them each may need.

use weir_guard::meaning::{Field, FieldId, FieldKind, Integer, Operation, Order, Width};

use super::{
    super::insn::{
        ADD, AND, COPY_TO_X, ClassicLabel, INDEXED, JUMP_IF_AT_LEAST, LOAD_BYTE, LOAD_CONSTANT, LOAD_HALF,
        LOAD_LEN, LOAD_MEMORY, LOAD_WORD, LOAD_X_CONSTANT, LOAD_X_MEMORY, OR, SHIFT_LEFT, SHIFT_RIGHT, STORE,
        SUBTRACT, WITH_X, XOR,
    },
    Compiler, MOST_LEN, OFFSET, PAYLOAD, SWAPPED, WALKED,
};
use crate::refusal::{Refusal, TEMPORARIES};

/// Where the source port stands (RFC 768).
const SOURCE_PORT: u32 = 0;

/// Where bytes of a field stand that are there.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// So many bytes behind the packet's first one.
    At(u32),
    /// Behind the payload's first one, by the word [`OFFSET`].
    Stored,
}

impl<'a> Compiler<'a> {
    /// A = the integer, or on at `absent`; gives the most that it can be. X is lost.
    pub(super) fn integer(&mut self, integer: &Integer, absent: ClassicLabel) -> Result<u32, Refusal> {
        self.check_length()?;
        match integer {
            Integer::Constant(value) => {
                let value = u32::try_from(*value).map_err(|_| Refusal::TooWide)?;
                self.code.push(LOAD_CONSTANT, value);
                Ok(value)
            }
            Integer::Len => {
                self.code.push(LOAD_LEN, 0);
                self.code.push(SUBTRACT, PAYLOAD);
                Ok(MOST_LEN)
            }
            Integer::SourcePort => {
                self.code.push(LOAD_HALF, SOURCE_PORT);
                Ok(u16::MAX.into())
            }
            Integer::Field(id) => self.number(*id, absent),
            Integer::Start(id) => self.edge(*id, false, absent),
            Integer::End(id) => self.edge(*id, true, absent),
            Integer::Binary(operation, left, right) => self.binary(*operation, left, right, absent),
        }
    }

    fn binary(
        &mut self,
        operation: Operation,
        left: &Integer,
        right: &Integer,
        absent: ClassicLabel,
    ) -> Result<u32, Refusal> {
        let (left, right, with, k) = match right {
            Integer::Constant(value) => {
                // What has 32 bits has none of a mask's upper ones.
                let value = if operation == Operation::And { *value & u64::from(u32::MAX) } else { *value };
                let value = u32::try_from(value).map_err(|_| Refusal::TooWide)?;
                (self.integer(left, absent)?, value, 0, value)
            }
            _ => {
                let (left, right) = self.both(left, right, absent)?;
                (left, right, WITH_X, 0)
            }
        };
        let (code, most) = match operation {
            Operation::Add => (ADD, left.checked_add(right).ok_or(Refusal::TooWide)?),
            Operation::Subtract => {
                self.code.branch(JUMP_IF_AT_LEAST | with, k, [None, Some(absent)]);
                (SUBTRACT, left)
            }
            Operation::And => (AND, left.min(right)),
            Operation::Or => (OR, all_bits_of(left | right)),
            Operation::Xor => (XOR, all_bits_of(left | right)),
            Operation::ShiftLeft | Operation::ShiftRight if with == WITH_X => {
                return Err(Refusal::UnknownShift);
            }
            Operation::ShiftLeft => {
                let most = if k < u32::BITS { u64::from(left) << k } else { u64::MAX };
                (SHIFT_LEFT, u32::try_from(most).map_err(|_| Refusal::TooWide)?)
            }
            Operation::ShiftRight if k < u32::BITS => (SHIFT_RIGHT, left >> k),
            Operation::ShiftRight => {
                self.code.push(LOAD_CONSTANT, 0);
                return Ok(0);
            }
        };
        self.code.push(code | with, k);
        Ok(most)
    }

    /// A and X = two integers, or on at `absent`; gives the most that each can be.
    pub(super) fn both(
        &mut self,
        left: &Integer,
        right: &Integer,
        absent: ClassicLabel,
    ) -> Result<(u32, u32), Refusal> {
        let left = self.integer(left, absent)?;
        if self.temporaries == TEMPORARIES {
            return Err(Refusal::TooDeep);
        }
        let word = self.temporaries as u32;
        self.temporaries += 1;
        self.code.push(STORE, word);
        let right = self.integer(right, absent)?;
        self.temporaries -= 1;
        self.code.push(COPY_TO_X, 0);
        self.code.push(LOAD_MEMORY, word);
        Ok((left, right))
    }

    /// A = the number that a field holds.
    fn number(&mut self, id: FieldId, absent: ClassicLabel) -> Result<u32, Refusal> {
        let field = self.protocol.field(id);
        let (width, order, bits) = match field.kind {
            FieldKind::Unsigned { width, order, bits } => (width, order, bits),
            FieldKind::Varint | FieldKind::Decimal => return Err(WALKED),
            FieldKind::Bytes(_) | FieldKind::DnsName | FieldKind::Until { .. } | FieldKind::Counted(_) => {
                return Err(Refusal::NoNumber);
            }
        };
        let [high_word, low_word] = words_of(order);
        let (behind, loaded, bits) = match (width, bits) {
            (Width::Eight, Some((low @ 32.., high))) => (high_word, Width::Four, Some((low - 32, high - 32))),
            (Width::Eight, Some((low, high @ ..32))) => (low_word, Width::Four, Some((low, high))),
            (Width::Eight, _) => return Err(Refusal::TooWide),
            (width, bits) => (0, width, bits),
        };
        let place = self.place(field, width.bytes() as u32, absent)?;
        self.load(place, behind, loaded, order);
        let Some((low, high)) = bits else {
            return Ok(loaded.max() as u32);
        };
        let mask = u32::MAX >> (31 - u32::from(high - low));
        self.code.push(SHIFT_RIGHT, low.into());
        self.code.push(AND, mask);
        Ok(mask)
    }

    /// A = the offset of a field's first byte, or of the first one behind it.
    fn edge(&mut self, id: FieldId, is_end: bool, absent: ClassicLabel) -> Result<u32, Refusal> {
        let field = self.protocol.field(id);
        let len = match field.kind {
            FieldKind::Unsigned { width, .. } => width.bytes() as u32,
            FieldKind::Bytes(count) => count.into(),
            _ => return Err(WALKED),
        };
        let place = self.place(field, len, absent)?;
        let len = if is_end { len } else { 0 };
        match place {
            Place::At(at) => self.code.push(LOAD_CONSTANT, at - PAYLOAD + len),
            Place::Stored => {
                self.code.push(LOAD_MEMORY, OFFSET);
                self.code.push(ADD, len);
            }
        }
        Ok(MOST_LEN)
    }

    /// The field, where it is one of 8 bytes.
    pub(super) fn long_field(&self, integer: &Integer) -> Option<(&'a Field, Order)> {
        let Integer::Field(id) = integer else {
            return None;
        };
        let field = self.protocol.field(*id);
        match field.kind {
            FieldKind::Unsigned { width: Width::Eight, order, bits: None } => Some((field, order)),
            _ => None,
        }
    }

    /// Where so many bytes of a field stand, or on at `absent` where one of them isn't there.
    pub(super) fn place(&mut self, field: &Field, len: u32, absent: ClassicLabel) -> Result<Place, Refusal> {
        if let Integer::Constant(at) = field.at {
            // What stands behind the longest payload is absent, wherever.
            let at = PAYLOAD + at.min(MOST_LEN.into()) as u32;
            self.code.push(LOAD_LEN, 0);
            self.code.branch(JUMP_IF_AT_LEAST, at + len, [None, Some(absent)]);
            return Ok(Place::At(at));
        }
        self.integer(&field.at, absent)?;
        self.code.push(STORE, OFFSET);
        self.code.push(COPY_TO_X, 0);
        self.code.push(LOAD_LEN, 0);
        self.code.branch(JUMP_IF_AT_LEAST, PAYLOAD + len, [None, Some(absent)]);
        self.code.push(SUBTRACT, PAYLOAD + len);
        self.code.branch(JUMP_IF_AT_LEAST | WITH_X, 0, [None, Some(absent)]);
        Ok(Place::Stored)
    }

    /// A = an integer of at most 4 bytes that stands `behind` bytes further on. They are there.
    pub(super) fn load(&mut self, place: Place, behind: u32, width: Width, order: Order) {
        let code = match width {
            Width::One => LOAD_BYTE,
            Width::Two => LOAD_HALF,
            Width::Four | Width::Eight => LOAD_WORD,
        };
        match place {
            Place::At(at) => self.code.push(code, at + behind),
            Place::Stored => {
                self.code.push(LOAD_X_MEMORY, OFFSET);
                self.code.push(code + INDEXED, PAYLOAD + behind);
            }
        }
        if order == Order::Little && width > Width::One {
            self.swap(width.bytes() as u32);
        }
    }

    /// A = its lower bytes, so many, the other way round.
    fn swap(&mut self, bytes: u32) {
        self.code.push(STORE, SWAPPED);
        self.code.push(LOAD_X_CONSTANT, 0);
        for byte in 0..bytes {
            self.code.push(LOAD_MEMORY, SWAPPED);
            self.code.push(SHIFT_RIGHT, 8 * byte);
            self.code.push(AND, 0xff);
            self.code.push(SHIFT_LEFT, 8 * (bytes - 1 - byte));
            self.code.push(OR | WITH_X, 0);
            self.code.push(COPY_TO_X, 0);
        }
    }
}

/// Where the more and the less significant half of 8 bytes stand.
pub(super) const fn words_of(order: Order) -> [u32; 2] {
    match order {
        Order::Big => [0, 4],
        Order::Little => [4, 0],
    }
}

/// The largest number of as many bits.
fn all_bits_of(value: u32) -> u32 {
    u32::MAX.checked_shr(value.leading_zeros()).unwrap_or(0)
}
