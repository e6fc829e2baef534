//! A packet in the making: what rules look for is written where they look for it.

use std::net::SocketAddr;

use super::{
    MOST_LEN, encoding,
    encoding::{WIDTHS, length, name_of_len, shortest_varint, unsigned, varint},
};
use crate::meaning::{
    Condition, Extent, Field, FieldId, FieldKind, Integer, LengthForm, Operation, Order, Packet, Protocol,
    Truth, Width,
};

/// So many integers are written, or made to be there, before a draft is given up.
const STEPS: u32 = 4_000;

/// A packet in the making.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    protocol: &'a Protocol,
    pub(super) source: SocketAddr,
    pub(super) payload: Vec<u8>,
    /// Whether what stands behind a field moves where the field grows or shrinks; it is overwritten otherwise.
    pub(super) moves: bool,
    steps: u32,
}

impl<'a> Draft<'a> {
    /// Without payload.
    pub(super) fn new(protocol: &'a Protocol, source: SocketAddr) -> Self {
        Self { protocol, source, payload: Vec::new(), moves: false, steps: STEPS }
    }

    /// A copy that has all its steps before it.
    pub(super) fn again(&self, moves: bool) -> Self {
        Self { moves, steps: STEPS, ..self.clone() }
    }

    pub(super) fn packet(&self) -> Packet<'_> {
        Packet::whole(self.source, &self.payload)
    }

    pub(super) fn truth(&self, condition: &Condition) -> Truth {
        condition.of(&self.packet(), &self.protocol.fields)
    }

    pub(super) fn value(&self, integer: &Integer) -> Option<u64> {
        integer.of(&self.packet(), &self.protocol.fields)
    }

    pub(super) fn extent(&self, id: FieldId) -> Option<Extent> {
        self.field(id).extent(&self.packet(), &self.protocol.fields)
    }

    pub(super) fn text(&self, id: FieldId) -> Option<&[u8]> {
        self.field(id).text(&self.packet(), &self.protocol.fields)
    }

    pub(super) fn field(&self, id: FieldId) -> &'a Field {
        self.protocol.field(id)
    }

    /// Makes an integer come to a value, and says whether it does.
    pub(super) fn set(&mut self, integer: &Integer, value: u64) -> bool {
        if self.value(integer) != Some(value) {
            // Whether it could be written is seen by what it comes to.
            self.write_integer(integer, value);
        }
        self.value(integer) == Some(value)
    }

    /// What an integer comes to, once the bytes are there that it reads.
    pub(super) fn reach(&mut self, integer: &Integer) -> Option<u64> {
        if let Some(value) = self.value(integer) {
            return Some(value);
        }
        self.spend()?;
        match integer {
            Integer::Field(id) | Integer::Start(id) | Integer::End(id) => self.fill(*id)?,
            Integer::Binary(operation, left, right) => {
                self.reach(left)?;
                let right = self.reach(right)?;
                // Both sides are there, so that the result is below 0 or too large.
                let least = if *operation == Operation::Subtract { right } else { 0 };
                self.set(left, least);
            }
            Integer::Constant(_) | Integer::Len | Integer::SourcePort => {}
        }
        self.value(integer)
    }

    /// Writes a text into a field, and says whether the field holds it then.
    pub(super) fn write_text(&mut self, id: FieldId, text: &[u8]) -> bool {
        self.put_text(id, text);
        self.text(id) == Some(text)
    }

    /// Writes a field's bytes, whatever they are.
    pub(super) fn put(&mut self, id: FieldId, bytes: &[u8]) -> Option<()> {
        let field = self.field(id);
        let at = self.reach(&field.at)?;
        let Some(held) = self.extent(id).filter(|_| self.moves) else {
            return self.write(at, bytes);
        };
        if self.payload.len() + bytes.len() > MOST_LEN {
            return None;
        }
        let behind = self.payload.split_off(held.end as usize);
        self.payload.truncate(at as usize);
        self.payload.extend_from_slice(bytes);
        self.payload.extend(behind);
        Some(())
    }

    /// Writes bytes from an offset on, and zeros before them where the payload ends sooner.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        let end = at.checked_add(bytes.len() as u64)?;
        self.lengthen(end)?;
        self.payload[at as usize..end as usize].copy_from_slice(bytes);
        Some(())
    }

    /// How the length of a text is written in a field.
    pub(super) fn length_of(&self, form: LengthForm, at: u64, len: u64) -> Option<Vec<u8>> {
        let mut bytes = length(form, len)?;
        if form == LengthForm::Nibble {
            bytes[0] |= self.packet().bytes(at, 1).map_or(0, |byte| byte[0] & 0xf0);
        }
        Some(bytes)
    }

    fn spend(&mut self) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        Some(())
    }

    fn resize(&mut self, len: u64) -> Option<()> {
        let len = usize::try_from(len).ok().filter(|len| *len <= MOST_LEN)?;
        self.payload.resize(len, 0);
        Some(())
    }

    fn lengthen(&mut self, len: u64) -> Option<()> {
        if len > self.payload.len() as u64 { self.resize(len) } else { Some(()) }
    }

    /// Has a field be there: as short as its kind goes.
    fn fill(&mut self, id: FieldId) -> Option<()> {
        let field = self.field(id);
        let at = self.reach(&field.at)?;
        if self.extent(id).is_some() {
            return Some(());
        }
        let bytes = match field.kind {
            FieldKind::Unsigned { width, .. } => return self.lengthen(at.checked_add(width.bytes())?),
            FieldKind::Bytes(count) => return self.lengthen(at.checked_add(count.into())?),
            FieldKind::Varint | FieldKind::DnsName => vec![0],
            FieldKind::Until { terminator, .. } => vec![terminator],
            FieldKind::Counted(form) => self.length_of(form, at, 0)?,
            FieldKind::Decimal => vec![b'0'],
        };
        self.write(at, &bytes)
    }

    fn write_integer(&mut self, integer: &Integer, value: u64) -> Option<()> {
        self.spend()?;
        match integer {
            Integer::Constant(_) => None,
            Integer::Len => self.resize(value),
            Integer::SourcePort => {
                self.source.set_port(value.try_into().ok()?);
                Some(())
            }
            Integer::Field(id) => self.write_number(*id, value),
            Integer::Start(id) => {
                let start = self.reach(integer)?;
                let place = &self.field(*id).at;
                let before = start.checked_sub(self.value(place)?)?;
                self.set(place, value.checked_sub(before)?).then_some(())
            }
            Integer::End(id) => self.write_end(*id, value),
            Integer::Binary(operation, left, right) => self.write_sides(*operation, [left, right], value),
        }
    }

    fn write_number(&mut self, id: FieldId, value: u64) -> Option<()> {
        let field = self.field(id);
        match field.kind {
            FieldKind::Unsigned { width, order, bits } => {
                let at = self.reach(&field.at)?;
                let whole = match bits {
                    None => value,
                    Some((low, high)) => {
                        let mask = u64::MAX >> (63 - (high - low));
                        if value > mask {
                            return None;
                        }
                        self.unsigned_at(at, width, order) & !(mask << low) | value << low
                    }
                };
                if whole > width.max() {
                    return None;
                }
                self.write(at, &unsigned(whole, width, order))
            }
            FieldKind::Varint => self.put(id, &shortest_varint(value)?),
            FieldKind::Decimal => {
                // Digits that are left of a longer number would count.
                let digits = self.extent(id).map_or(0, |held| held.len as usize);
                self.put(id, format!("{value:0>digits$}").as_bytes())
            }
            FieldKind::Bytes(_) | FieldKind::DnsName | FieldKind::Until { .. } | FieldKind::Counted(_) => {
                None
            }
        }
    }

    fn unsigned_at(&self, at: u64, width: Width, order: Order) -> u64 {
        self.packet().bytes(at, width.bytes()).map_or(0, |bytes| encoding::number(bytes, order))
    }

    fn put_text(&mut self, id: FieldId, text: &[u8]) -> Option<()> {
        let field = self.field(id);
        let bytes = match field.kind {
            FieldKind::Bytes(count) if text.len() != usize::from(count) => return None,
            FieldKind::Bytes(_) | FieldKind::DnsName => text.to_vec(),
            FieldKind::Until { terminator, .. } => [text, &[terminator]].concat(),
            FieldKind::Counted(form) => {
                let at = self.reach(&field.at)?;
                [&self.length_of(form, at, text.len() as u64)?[..], text].concat()
            }
            FieldKind::Unsigned { .. } | FieldKind::Varint | FieldKind::Decimal => return None,
        };
        self.put(id, &bytes)
    }

    /// Makes a field end at an offset: by its length, or else by its place.
    fn write_end(&mut self, id: FieldId, end: u64) -> Option<()> {
        self.fill(id)?;
        let field = self.field(id);
        let at = self.reach(&field.at)?;
        let held = self.extent(id)?;
        match end.checked_sub(at).and_then(|len| self.of_len(field, at, len)) {
            Some(bytes) => {
                self.write(at, &bytes)?;
                self.lengthen(end)
            }
            None => self.set(&field.at, end.checked_sub(held.end - at)?).then_some(()),
        }
    }

    /// A field's first bytes where it has so many; those that its length counts may come behind them.
    fn of_len(&self, field: &Field, at: u64, len: u64) -> Option<Vec<u8>> {
        match field.kind {
            FieldKind::Unsigned { .. } | FieldKind::Bytes(_) => None,
            FieldKind::Varint => {
                let number = field.number(&self.packet(), &self.protocol.fields)?;
                WIDTHS.into_iter().find(|width| width.bytes() == len).and_then(|width| varint(number, width))
            }
            FieldKind::DnsName => name_of_len(len),
            FieldKind::Until { terminator, within } => {
                let filler = if terminator == b'a' { b'b' } else { b'a' };
                let text = len.checked_sub(1).filter(|text| *text < u64::from(within))?;
                let byte = |number: u64| {
                    let held = self.packet().bytes(at + number, 1).map(|byte| byte[0]);
                    held.filter(|byte| *byte != terminator && *byte != 0).unwrap_or(filler)
                };
                Some((0..text).map(byte).chain([terminator]).collect())
            }
            FieldKind::Counted(form) => (1..=8).find_map(|size| {
                let bytes = self.length_of(form, at, len.checked_sub(size)?)?;
                (bytes.len() as u64 == size).then_some(bytes)
            }),
            FieldKind::Decimal => {
                let number = field.number(&self.packet(), &self.protocol.fields)?;
                let digits = len as usize;
                let is_possible = (1..=u64::from(FieldKind::MOST_DIGITS)).contains(&len);
                let written = is_possible.then(|| format!("{number:0>digits$}"))?;
                (written.len() == digits).then(|| written.into_bytes())
            }
        }
    }

    /// Makes an operation give a value by one of its sides.
    fn write_sides(&mut self, operation: Operation, sides: [&Integer; 2], value: u64) -> Option<()> {
        let (one, other) = (self.reach(sides[0])?, self.reach(sides[1])?);
        let bits = u32::try_from(other).ok().filter(|bits| *bits < u64::BITS);
        let masked = |side: u64, mask: u64| (value & !mask == 0).then_some(side & !mask | value);
        let united = |side: u64, with: u64| (with & !value == 0).then_some(value & !with | side & with);
        let wanted = match operation {
            Operation::Add => [value.checked_sub(other), value.checked_sub(one)],
            Operation::Subtract => [value.checked_add(other), one.checked_sub(value)],
            Operation::And => [masked(one, other), masked(other, one)],
            Operation::Or => [united(one, other), united(other, one)],
            Operation::Xor => [Some(value ^ other), Some(value ^ one)],
            Operation::ShiftLeft => [bits.map(|bits| value >> bits), None],
            Operation::ShiftRight => [bits.map(|bits| value << bits | one & !(u64::MAX << bits)), None],
        };
        for (side, wanted) in sides.into_iter().zip(wanted) {
            if let Some(wanted) = wanted
                && self.set(side, wanted)
                && operation.apply(self.value(sides[0])?, self.value(sides[1])?) == Some(value)
            {
                return Some(());
            }
        }
        None
    }
}
