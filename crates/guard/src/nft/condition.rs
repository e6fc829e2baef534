//! Conditions as matches: for each way in which a condition holds, the matches of one rule.

use std::collections::BTreeMap;

use super::{MOST_RULES, Reason, bytes::Bytes, values::Values};
use crate::meaning::{Comparison, Condition, Field, FieldId, FieldKind, Integer, Operation, Order, Protocol};

/// How much is done for the conditions of a service: files are hostile.
const MOST_STEPS: usize = 50_000_000;

/// A protocol's conditions as matches.
pub(super) struct Conditions<'a> {
    protocol: &'a Protocol,
    /// What may be done yet.
    steps: usize,
}

impl<'a> Conditions<'a> {
    pub(super) fn of(protocol: &'a Protocol) -> Self {
        Self { protocol, steps: MOST_STEPS }
    }

    /// The matches of rules that together match the packets for which the condition is true. None matches all.
    pub(super) fn matches(&mut self, condition: &Condition) -> Result<Vec<String>, Reason> {
        let formula = Reader(self.protocol).formula(condition, true)?;
        self.ways(&formula)?.iter().map(Conjunction::text).collect()
    }

    /// In how many ways it holds.
    fn ways(&mut self, formula: &Formula) -> Result<Vec<Conjunction>, Reason> {
        match formula {
            Formula::Literal { bytes, values, needs } => {
                let mut one = Conjunction::default();
                let lengths = needs.map(|needs| Values::between(0, u64::MAX).up(needs).up(Bytes::HEADER));
                let is_there = lengths.is_none_or(|lengths| one.add(Bytes::LENGTH, &lengths));
                let can_hold = is_there && one.add(*bytes, values);
                Ok(can_hold.then_some(one).into_iter().collect())
            }
            Formula::All(parts) => {
                let mut all = vec![Conjunction::default()];
                for part in parts {
                    let part = self.ways(part)?;
                    all = self.both(all, &part)?;
                }
                Ok(all)
            }
            Formula::Any(parts) => {
                let mut any = Vec::new();
                for part in parts {
                    for each in self.ways(part)? {
                        push(&mut any, each)?;
                    }
                }
                Ok(any)
            }
        }
    }

    fn both(
        &mut self,
        mut ones: Vec<Conjunction>,
        others: &[Conjunction],
    ) -> Result<Vec<Conjunction>, Reason> {
        let size = |list: &[Conjunction]| list.iter().map(Conjunction::size).sum::<usize>();
        let steps = size(&ones).saturating_mul(others.len());
        let steps = steps.saturating_add(size(others).saturating_mul(ones.len()));
        self.steps = self.steps.checked_sub(steps).ok_or(Reason::TooManyRules)?;
        if let [other] = others {
            ones.retain_mut(|one| one.add_all(other));
            return Ok(ones);
        }
        let mut both = Vec::new();
        for one in &ones {
            for other in others {
                let mut each = one.clone();
                if each.add_all(other) {
                    push(&mut both, each)?;
                }
            }
        }
        Ok(both)
    }
}

fn push(list: &mut Vec<Conjunction>, one: Conjunction) -> Result<(), Reason> {
    if !list.contains(&one) {
        list.push(one);
    }
    if list.len() > MOST_RULES { Err(Reason::TooManyRules) } else { Ok(()) }
}

/// Matches that hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Conjunction(BTreeMap<Bytes, Values>);

impl Conjunction {
    /// Adds a match, and says whether all can still hold.
    fn add(&mut self, bytes: Bytes, values: &Values) -> bool {
        let held = self.0.entry(bytes).or_insert_with(|| Values::between(0, bytes.most()));
        *held = held.intersection(values);
        !held.is_empty()
    }

    fn add_all(&mut self, other: &Self) -> bool {
        other.0.iter().all(|(bytes, values)| self.add(*bytes, values))
    }

    fn size(&self) -> usize {
        1 + self.0.values().map(|values| 1 + values.ranges().len()).sum::<usize>()
    }

    fn text(&self) -> Result<String, Reason> {
        let mut matches = Vec::new();
        for (bytes, values) in &self.0 {
            matches.extend(bytes.matching(values)?);
        }
        Ok(matches.join(" "))
    }
}

/// A condition without `not`. What is absent makes it neither true nor false, here as there.
enum Formula {
    /// Bytes are one of these numbers, and the payload has as many bytes as it needs.
    Literal {
        bytes: Bytes,
        values: Values,
        needs: Option<u64>,
    },
    All(Vec<Formula>),
    Any(Vec<Formula>),
}

impl Formula {
    const NEVER: Self = Self::Any(Vec::new());

    /// The payload has so many bytes.
    fn present(needs: Option<u64>) -> Self {
        match needs {
            Some(_) => Self::Literal { bytes: Bytes::LENGTH, values: Values::between(0, u64::MAX), needs },
            None => Self::All(Vec::new()),
        }
    }

    fn all(parts: Vec<Self>) -> Self {
        match <[Self; 1]>::try_from(parts) {
            Ok([part]) => part,
            Err(parts) => Self::All(parts),
        }
    }

    /// Literals of the same bytes are one literal.
    fn any(parts: Vec<Self>) -> Self {
        let mut literals = BTreeMap::<_, Vec<_>>::new();
        let mut others = Vec::new();
        for part in parts {
            match part {
                Self::Literal { bytes, values, needs } => {
                    literals.entry((bytes, needs)).or_default().extend_from_slice(values.ranges());
                }
                other => others.push(other),
            }
        }
        let literal = |((bytes, needs), ranges)| Self::Literal { bytes, values: Values::of(ranges), needs };
        let mut any: Vec<Self> = literals.into_iter().map(literal).collect();
        any.extend(others);
        match <[Self; 1]>::try_from(any) {
            Ok([part]) => part,
            Err(any) => Self::Any(any),
        }
    }
}

/// A number that is the same for every packet that has so many bytes of payload.
#[derive(Clone, Copy)]
struct Fixed {
    value: u64,
    needs: Option<u64>,
}

/// Reads conditions about a protocol's fields.
struct Reader<'a>(&'a Protocol);

impl Reader<'_> {
    /// When the condition comes to `truth`.
    fn formula(&self, condition: &Condition, truth: bool) -> Result<Formula, Reason> {
        let each = |parts: &[Condition]| -> Result<Vec<Formula>, Reason> {
            parts.iter().map(|part| self.formula(part, truth)).collect()
        };
        match condition {
            Condition::Compare(comparison, left, right) => self.compare(*comparison, left, right, truth),
            Condition::Among(integer, ranges) => {
                let ranges = ranges.iter().filter(|range| !range.is_empty());
                let values = Values::of(ranges.map(|range| (*range.start(), *range.end())).collect());
                self.within(integer, &values.asked(truth), None)
            }
            Condition::Text { field, ignores_case, texts } => self.text(*field, *ignores_case, texts, truth),
            Condition::Name { field, .. } => Err(walked(self.0.field(*field))),
            Condition::All(parts) if truth => Ok(Formula::all(each(parts)?)),
            Condition::Any(parts) if !truth => Ok(Formula::all(each(parts)?)),
            Condition::All(parts) | Condition::Any(parts) => Ok(Formula::any(each(parts)?)),
            Condition::Not(inner) => self.formula(inner, !truth),
        }
    }

    fn compare(
        &self,
        comparison: Comparison,
        left: &Integer,
        right: &Integer,
        truth: bool,
    ) -> Result<Formula, Reason> {
        match (self.fixed(left)?, self.fixed(right)?) {
            (_, Some(right)) => {
                self.within(left, &holding(comparison, right.value).asked(truth), right.needs)
            }
            (Some(left), None) => {
                self.within(right, &holding(comparison.mirrored(), left.value).asked(truth), left.needs)
            }
            (None, None) => Err(Reason::TwoNumbers),
        }
    }

    /// When an integer is one of these, and the payload has as many bytes as something else needs.
    fn within(&self, integer: &Integer, values: &Values, needs: Option<u64>) -> Result<Formula, Reason> {
        if let Some(fixed) = self.fixed(integer)? {
            let needs = needs.max(fixed.needs);
            return Ok(if values.contains(fixed.value) { Formula::present(needs) } else { Formula::NEVER });
        }
        match integer {
            Integer::Len => {
                Ok(Formula::Literal { bytes: Bytes::LENGTH, values: values.up(Bytes::HEADER), needs })
            }
            // What would not fit 64 bits is absent, and so is what would be below 0: neither is true or false.
            Integer::Binary(Operation::Add, one, other) => match (self.fixed(one)?, self.fixed(other)?) {
                (None, Some(more)) => self.within(one, &values.down(more.value), needs.max(more.needs)),
                (Some(more), None) => self.within(other, &values.down(more.value), needs.max(more.needs)),
                _ => Err(Reason::TwoNumbers),
            },
            Integer::Binary(Operation::Subtract, one, other) => {
                match (self.fixed(one)?, self.fixed(other)?) {
                    (None, Some(less)) => self.within(one, &values.up(less.value), needs.max(less.needs)),
                    (None, None) => Err(Reason::TwoNumbers),
                    _ => Err(Reason::Operation("-")),
                }
            }
            _ => {
                let (bytes, own) = self.bytes(integer)?;
                Ok(Formula::Literal { bytes, values: values.clone(), needs: needs.max(own) })
            }
        }
    }

    /// The bytes that an integer is, and how many the payload needs for them.
    fn bytes(&self, integer: &Integer) -> Result<(Bytes, Option<u64>), Reason> {
        match integer {
            Integer::SourcePort => Ok((Bytes::SOURCE_PORT, None)),
            Integer::Field(id) => self.unsigned(*id),
            Integer::Binary(Operation::And, one, other) => {
                let (number, mask) = match (self.fixed(one)?, self.fixed(other)?) {
                    (None, Some(mask)) => (one, mask),
                    (Some(mask), None) => (other, mask),
                    _ => return Err(Reason::TwoNumbers),
                };
                // The header has 8 bytes: the lowest bits of both lengths are the same.
                let (bytes, needs) = if **number == Integer::Len && mask.value < Bytes::HEADER {
                    (Bytes::LENGTH, Some(0))
                } else {
                    self.bytes(number)?
                };
                Ok((bytes.masked(mask.value), needs.max(mask.needs)))
            }
            Integer::Binary(Operation::ShiftRight, one, other) => {
                let by = self.fixed(other)?.ok_or(Reason::TwoNumbers)?;
                let (bytes, needs) = self.bytes(one)?;
                Ok((bytes.shifted(by.value), needs.max(by.needs)))
            }
            Integer::Binary(operation, ..) => Err(Reason::Operation(sign(*operation))),
            Integer::Len => Err(Reason::LengthBits),
            Integer::Constant(_) | Integer::Start(_) | Integer::End(_) => Err(Reason::TwoNumbers),
        }
    }

    fn unsigned(&self, id: FieldId) -> Result<(Bytes, Option<u64>), Reason> {
        let field = self.0.field(id);
        let FieldKind::Unsigned { width, order, bits } = field.kind else {
            return Err(walked(field));
        };
        let (start, _) = self.extent(id)?;
        let bytes = Bytes::of_payload(start.value, width.bytes(), order == Order::Little);
        let bytes = bytes.ok_or_else(|| Reason::Far(field.name.clone()))?;
        let bytes = match bits {
            Some((low, high)) => bytes.shifted(low.into()).masked(u64::MAX >> (63 - (high - low))),
            None => bytes,
        };
        Ok((bytes, start.needs))
    }

    fn text(
        &self,
        id: FieldId,
        ignores_case: bool,
        texts: &[Vec<u8>],
        truth: bool,
    ) -> Result<Formula, Reason> {
        let field = self.0.field(id);
        let FieldKind::Bytes(count) = field.kind else {
            return Err(walked(field));
        };
        let (start, _) = self.extent(id)?;
        let mut each = Vec::with_capacity(texts.len() + 1);
        for text in texts.iter().filter(|text| text.len() == usize::from(count)) {
            let mut parts = Vec::new();
            for (number, chunk) in text.chunks(Bytes::MOST_WIDTH).enumerate() {
                let at = start.value.saturating_add((number * Bytes::MOST_WIDTH) as u64);
                let bytes = Bytes::of_payload(at, chunk.len() as u64, false);
                let bytes = bytes.ok_or_else(|| Reason::Far(field.name.clone()))?;
                let (mask, value) = mask_and_value(chunk, ignores_case);
                let values = Values::one(value).asked(truth);
                parts.push(Formula::Literal { bytes: bytes.masked(mask), values, needs: start.needs });
            }
            each.push(if truth { Formula::all(parts) } else { Formula::any(parts) });
        }
        if truth {
            return Ok(Formula::any(each));
        }
        each.push(Formula::present(start.needs));
        Ok(Formula::all(each))
    }

    /// Where a field begins and ends, if that is the same in all packets.
    fn extent(&self, id: FieldId) -> Result<(Fixed, Fixed), Reason> {
        let field = self.0.field(id);
        let len = match field.kind {
            FieldKind::Unsigned { width, .. } => width.bytes(),
            FieldKind::Bytes(count) => count.into(),
            _ => return Err(walked(field)),
        };
        let place = self.fixed(&field.at)?.ok_or_else(|| Reason::Moving(field.name.clone()))?;
        let end = place.value.checked_add(len).ok_or_else(|| Reason::Far(field.name.clone()))?;
        let needs = place.needs.max(Some(end));
        Ok((Fixed { value: place.value, needs }, Fixed { value: end, needs }))
    }

    /// What an integer is, if that is the same for all packets.
    fn fixed(&self, integer: &Integer) -> Result<Option<Fixed>, Reason> {
        Ok(match integer {
            Integer::Constant(value) => Some(Fixed { value: *value, needs: None }),
            Integer::Len | Integer::SourcePort | Integer::Field(_) => None,
            Integer::Start(id) => Some(self.extent(*id)?.0),
            Integer::End(id) => Some(self.extent(*id)?.1),
            Integer::Binary(operation, one, other) => match (self.fixed(one)?, self.fixed(other)?) {
                (Some(one), Some(other)) => {
                    let value = operation.apply(one.value, other.value);
                    value.map(|value| Fixed { value, needs: one.needs.max(other.needs) })
                }
                _ => None,
            },
        })
    }
}

/// The numbers that compare so with another.
fn holding(comparison: Comparison, with: u64) -> Values {
    match comparison {
        Comparison::Equal => Values::one(with),
        Comparison::Unequal => Values::one(with).complement(),
        Comparison::Less => Values::between(with, u64::MAX).complement(),
        Comparison::LessOrEqual => Values::between(0, with),
        Comparison::Greater => Values::between(0, with).complement(),
        Comparison::GreaterOrEqual => Values::between(with, u64::MAX),
    }
}

/// A text as a number, and the bits of it that count: a letter's case is one bit (ASCII).
fn mask_and_value(text: &[u8], ignores_case: bool) -> (u64, u64) {
    const CASE: u8 = 0x20;
    text.iter().fold((0, 0), |(mask, value), &byte| {
        let counts = if ignores_case && byte.is_ascii_lowercase() { !CASE } else { u8::MAX };
        (mask << 8 | u64::from(counts), value << 8 | u64::from(byte & counts))
    })
}

fn walked(field: &Field) -> Reason {
    let kind = match field.kind {
        FieldKind::Unsigned { .. } => "an integer",
        FieldKind::Bytes(_) => "text",
        FieldKind::Varint => "a varint",
        FieldKind::DnsName => "a domain name",
        FieldKind::Until { .. } => "text up to a byte",
        FieldKind::Counted(_) => "text behind its length",
        FieldKind::Decimal => "a decimal number",
    };
    Reason::Walked { field: field.name.clone(), kind }
}

const fn sign(operation: Operation) -> &'static str {
    match operation {
        Operation::Add => "+",
        Operation::Subtract => "-",
        Operation::And => "&",
        Operation::Or => "|",
        Operation::Xor => "^",
        Operation::ShiftLeft => "<<",
        Operation::ShiftRight => ">>",
    }
}
