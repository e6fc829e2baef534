//! A guard's service as classic BPF for its socket, where nothing that it says needs a memory.
//!
//! Packets are shown from the UDP header on, and whole. A load of a byte that isn't there would end the program, so that each comes
//! behind a test of the packet's length. Numbers have 32 bits: what may need more is refused, but for fields of 8 bytes that are
//! compared with constants, which are two words.

mod integer;
mod source;

use std::ops::RangeInclusive;

use weir_guard::meaning::{
    Comparison, Condition, FieldId, FieldKind, Integer, MessageId, Mode, Order, Party, Protocol, Service,
    Width,
};
use weir_wire::udp;

use super::{
    ACCEPT, DROP,
    insn::{
        ClassicCode, ClassicInsn, ClassicLabel, JUMP_IF_AT_LEAST, JUMP_IF_EQUAL, JUMP_IF_GREATER,
        LOAD_MEMORY, OR, RETURN, STORE, WITH_X,
    },
};
use crate::{
    fun::service::lists::lists,
    refusal::{Refusal, TEMPORARIES},
};
use integer::words_of;
#[cfg(test)]
pub(super) use source::IP_HEADER;

/// How many instructions the kernel takes (`BPF_MAXINSNS`, include/uapi/linux/bpf_common.h).
pub const MOST_INSTRUCTIONS: usize = 4096;

const PAYLOAD: u32 = udp::PAYLOAD_OFFSET as u32;
/// No payload is longer.
const MOST_LEN: u32 = u16::MAX as u32;

/// Words of the memory, of which there are 16 (`BPF_MEMWORDS`, include/uapi/linux/filter.h); operands that wait have the first
/// ones. This one is an offset in the payload, where a packet tells it.
const OFFSET: u32 = TEMPORARIES as u32;
/// A word whose bytes are put the other way round.
const SWAPPED: u32 = OFFSET + 1;
/// The halves of a field of 8 bytes.
const HIGH: u32 = OFFSET + 2;
const LOW: u32 = OFFSET + 3;

const WALKED: Refusal = Refusal::Unsupported("a field of which the packet tells the length, in classic BPF,");

/// The service's program for its socket, of which the kernel shows it each packet from the UDP header on. It counts nothing.
///
/// A socket that asks for `UDP_GRO` shows it several datagrams as one, which it can't tell.
///
/// # Errors
/// The service says what classic BPF can't. The kernel may refuse a long program all the same, with `ENOMEM`, where
/// `net.core.optmem_max` is small.
pub fn service_program(service: &Service) -> Result<Vec<ClassicInsn>, Refusal> {
    if !service.limits.is_empty() {
        return Err(Refusal::Unsupported("a limit, in classic BPF,"));
    }
    let mut compiler = Compiler { protocol: &service.protocol, code: ClassicCode::default(), temporaries: 0 };
    let [accept, drop] = [(); 2].map(|()| compiler.code.label());
    if lists(service).any(|list| !list.is_empty()) {
        compiler.load_source(drop);
        compiler.find_source(&service.allow, accept)?;
        compiler.find_source(&service.block, drop)?;
    }
    // A packet that is one of those behind is dropped as one that is none.
    let tried = service.accept.iter().map(|each| each.message.0 + 1).max().unwrap_or(0);
    let messages = service.protocol.messages.iter().enumerate().take(tried);
    for (number, message) in messages.filter(|(_, message)| message.by != Some(Party::Service)) {
        let next = compiler.code.label();
        compiler.require(&message.when, true, next)?;
        for acceptance in service.accept.iter().filter(|each| each.message == MessageId(number)) {
            let other = compiler.code.label();
            compiler.require_senders(&acceptance.from, other)?;
            compiler.require(&acceptance.when, true, other)?;
            compiler.code.jump(accept);
            compiler.code.place(other);
        }
        compiler.code.jump(drop);
        compiler.code.place(next);
    }
    compiler.code.place(drop);
    compiler.code.push(RETURN, if service.mode == Mode::Observe { ACCEPT } else { DROP });
    compiler.code.place(accept);
    compiler.code.push(RETURN, ACCEPT);
    let program = compiler.code.finish();
    if program.len() > MOST_INSTRUCTIONS { Err(Refusal::TooLong(MOST_INSTRUCTIONS)) } else { Ok(program) }
}

struct Compiler<'a> {
    protocol: &'a Protocol,
    code: ClassicCode,
    /// Words of the memory that operands wait in.
    temporaries: usize,
}

impl<'a> Compiler<'a> {
    /// What is so long gets no shorter. A bound of memory: what is left out in the end is never half of a program.
    fn check_length(&self) -> Result<(), Refusal> {
        if self.code.len() > 2 * MOST_INSTRUCTIONS {
            return Err(Refusal::TooLong(MOST_INSTRUCTIONS));
        }
        Ok(())
    }

    /// Falls through where the condition is `wanted`, and goes on at `otherwise` where it isn't or is absent.
    fn require(
        &mut self,
        condition: &Condition,
        wanted: bool,
        otherwise: ClassicLabel,
    ) -> Result<(), Refusal> {
        self.check_length()?;
        match (condition, wanted) {
            (Condition::All(parts), true) | (Condition::Any(parts), false) => {
                for part in parts {
                    self.require(part, wanted, otherwise)?;
                }
            }
            (Condition::All(parts), false) | (Condition::Any(parts), true) => {
                let Some((last, parts)) = parts.split_last() else {
                    self.code.jump(otherwise);
                    return Ok(());
                };
                let done = self.code.label();
                for part in parts {
                    let next = self.code.label();
                    self.require(part, wanted, next)?;
                    self.code.jump(done);
                    self.code.place(next);
                }
                self.require(last, wanted, otherwise)?;
                self.code.place(done);
            }
            (Condition::Not(inner), _) => self.require(inner, !wanted, otherwise)?,
            (Condition::Compare(comparison, left, right), _) => {
                self.compare((*comparison, left, right), wanted, otherwise)?;
            }
            (Condition::Among(integer, ranges), _) => self.among(integer, ranges, wanted, otherwise)?,
            (Condition::Text { field, ignores_case, texts }, _) => {
                self.text(*field, (*ignores_case, texts.as_slice()), wanted, otherwise)?;
            }
            (Condition::Name { .. }, _) => return Err(WALKED),
        }
        Ok(())
    }

    /// A label to be placed behind a test, and where to go on where the test holds, and where it doesn't.
    fn ways(&mut self, wanted: bool, otherwise: ClassicLabel) -> (ClassicLabel, [ClassicLabel; 2]) {
        let done = self.code.label();
        (done, if wanted { [done, otherwise] } else { [otherwise, done] })
    }

    fn compare(
        &mut self,
        (comparison, left, right): (Comparison, &Integer, &Integer),
        wanted: bool,
        otherwise: ClassicLabel,
    ) -> Result<(), Refusal> {
        if let Integer::Constant(value) = right {
            let (range, is_in) = range_of(comparison, *value);
            return self.among(left, &[range], wanted == is_in, otherwise);
        }
        if let Integer::Constant(value) = left {
            let (range, is_in) = range_of(comparison.mirrored(), *value);
            return self.among(right, &[range], wanted == is_in, otherwise);
        }
        self.both(left, right, otherwise)?;
        let (code, holds) = match comparison {
            Comparison::Equal => (JUMP_IF_EQUAL, true),
            Comparison::Unequal => (JUMP_IF_EQUAL, false),
            Comparison::Less => (JUMP_IF_AT_LEAST, false),
            Comparison::LessOrEqual => (JUMP_IF_GREATER, false),
            Comparison::Greater => (JUMP_IF_GREATER, true),
            Comparison::GreaterOrEqual => (JUMP_IF_AT_LEAST, true),
        };
        let targets = if wanted == holds { [None, Some(otherwise)] } else { [Some(otherwise), None] };
        self.code.branch(code | WITH_X, 0, targets);
        Ok(())
    }

    /// Falls through where the integer is in one of the ranges, or, where that isn't wanted, where it is in none.
    fn among(
        &mut self,
        integer: &Integer,
        ranges: &[RangeInclusive<u64>],
        wanted: bool,
        otherwise: ClassicLabel,
    ) -> Result<(), Refusal> {
        let (done, ways) = self.ways(wanted, otherwise);
        match self.long_field(integer) {
            Some((field, order)) => {
                let place = self.place(field, Width::Eight.bytes() as u32, otherwise)?;
                for (word, behind) in [HIGH, LOW].into_iter().zip(words_of(order)) {
                    self.load(place, behind, Width::Four, order);
                    self.code.push(STORE, word);
                }
                self.find_long(ranges, ways);
            }
            None => {
                self.integer(integer, otherwise)?;
                self.find(ranges, ways);
            }
        }
        self.code.place(done);
        Ok(())
    }

    /// On at `yes` where A is in one of the ranges, which are sorted, else at `no`.
    fn find(&mut self, ranges: &[RangeInclusive<u64>], [yes, no]: [ClassicLabel; 2]) {
        let in_32_bits = |range: &RangeInclusive<u64>| {
            let start = u32::try_from(*range.start()).ok()?;
            Some((start, u32::try_from(*range.end()).unwrap_or(u32::MAX)))
        };
        let mut ranges = ranges.iter().filter_map(in_32_bits).peekable();
        if ranges.peek().is_none() {
            self.code.jump(no);
        }
        while let Some((start, end)) = ranges.next() {
            let other = if ranges.peek().is_none() { Some(no) } else { None };
            if start == end {
                self.code.branch(JUMP_IF_EQUAL, start, [Some(yes), other]);
                continue;
            }
            if start > 0 {
                self.code.branch(JUMP_IF_AT_LEAST, start, [None, Some(no)]);
            }
            if end < u32::MAX {
                self.code.branch(JUMP_IF_GREATER, end, [other, Some(yes)]);
            } else {
                self.code.jump(yes);
            }
        }
    }

    /// On at `yes` where [`HIGH`] and [`LOW`] are in one of the ranges, which are sorted, else at `no`.
    fn find_long(&mut self, ranges: &[RangeInclusive<u64>], [yes, no]: [ClassicLabel; 2]) {
        for range in ranges {
            let next = self.code.label();
            let [start, end] = [*range.start(), *range.end()].map(halves);
            self.code.push(LOAD_MEMORY, HIGH);
            if start == end {
                self.code.branch(JUMP_IF_EQUAL, start[0], [None, Some(next)]);
                self.code.push(LOAD_MEMORY, LOW);
                self.code.branch(JUMP_IF_EQUAL, start[1], [Some(yes), None]);
            } else {
                let reached = self.code.label();
                self.code.branch(JUMP_IF_GREATER, start[0], [Some(reached), None]);
                self.code.branch(JUMP_IF_EQUAL, start[0], [None, Some(no)]);
                self.code.push(LOAD_MEMORY, LOW);
                self.code.branch(JUMP_IF_AT_LEAST, start[1], [None, Some(no)]);
                self.code.place(reached);
                self.code.push(LOAD_MEMORY, HIGH);
                self.code.branch(JUMP_IF_GREATER, end[0], [Some(next), None]);
                self.code.branch(JUMP_IF_EQUAL, end[0], [None, Some(yes)]);
                self.code.push(LOAD_MEMORY, LOW);
                self.code.branch(JUMP_IF_GREATER, end[1], [None, Some(yes)]);
            }
            self.code.place(next);
        }
        self.code.jump(no);
    }

    fn text(
        &mut self,
        id: FieldId,
        (ignores_case, texts): (bool, &[Vec<u8>]),
        wanted: bool,
        otherwise: ClassicLabel,
    ) -> Result<(), Refusal> {
        let field = self.protocol.field(id);
        let FieldKind::Bytes(count) = field.kind else {
            return Err(if field.kind.is_number() { Refusal::NoText } else { WALKED });
        };
        let place = self.place(field, count.into(), otherwise)?;
        let (done, [yes, no]) = self.ways(wanted, otherwise);
        for text in texts.iter().filter(|text| text.len() == usize::from(count)) {
            let next = self.code.label();
            let mut rest = text.as_slice();
            while !rest.is_empty() {
                let width = match rest.len() {
                    4.. => Width::Four,
                    2.. => Width::Two,
                    _ => Width::One,
                };
                let behind = (text.len() - rest.len()) as u32;
                let (bytes, others) = rest.split_at(width.bytes() as usize);
                self.load(place, behind, width, Order::Big);
                // A letter that is or-ed with 0x20 is its small one, and nothing else is a small letter then.
                let case = |byte: &u8| if ignores_case && byte.is_ascii_lowercase() { 0x20 } else { 0 };
                let case = big_endian(bytes.iter().map(case));
                if case > 0 {
                    self.code.push(OR, case);
                }
                self.code.jump_unless(big_endian(bytes.iter().copied()), next);
                rest = others;
            }
            self.code.jump(yes);
            self.code.place(next);
        }
        self.code.jump(no);
        self.code.place(done);
        Ok(())
    }
}

/// The numbers that compare so with a constant: those of a range, or, where it says false, all others.
fn range_of(comparison: Comparison, value: u64) -> (RangeInclusive<u64>, bool) {
    match comparison {
        Comparison::Equal => (value..=value, true),
        Comparison::Unequal => (value..=value, false),
        Comparison::Less => (value..=u64::MAX, false),
        Comparison::LessOrEqual => (0..=value, true),
        Comparison::Greater => (0..=value, false),
        Comparison::GreaterOrEqual => (value..=u64::MAX, true),
    }
}

/// The more and the less significant half.
const fn halves(value: u64) -> [u32; 2] {
    [(value >> 32) as u32, value as u32]
}

fn big_endian(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0, |value, byte| value << 8 | u32::from(byte))
}
