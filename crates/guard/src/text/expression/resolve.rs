//! What expressions mean: names are looked up, kinds and widths compared.

use std::{cell::RefCell, collections::BTreeMap, ops::Range};

use weir_asm::{Diagnostic, Diagnostics, Severity, Span};

use super::{
    bounds::Bounds,
    token::Fault,
    tree::{self, Function, Node, NodeKind, WrittenKind},
};
use crate::{
    meaning::{
        Comparison, Condition, Field, FieldId, FieldKind, Integer, LengthForm, Operation, Order, Width,
    },
    text::{source::SourceString, table::shown},
};

/// The names that an expression may use.
pub(in crate::text) struct Scope<'a> {
    /// Fields; a [`FieldId`] is a place in this list.
    pub(in crate::text) fields: &'a [Field],
    /// What constants are, those that the guard sets too.
    pub(in crate::text) constants: &'a BTreeMap<String, u64>,
}

/// A field as it is written, before the names in its place are looked up.
#[derive(Clone, Debug)]
pub(in crate::text) struct WrittenField {
    kind: WrittenKind,
    place: Node,
}

/// Reads a condition: `when`.
pub(in crate::text) fn condition(
    source: &SourceString,
    scope: &Scope<'_>,
    found: &mut Diagnostics,
) -> Option<Condition> {
    let read = |resolver: &Resolver<'_>| resolver.condition(&tree::tree(source.text())?);
    Resolver::run(source, scope, found, read)
}

/// Conditions that must hold together, and where each stands.
pub(in crate::text) type Conjuncts = Vec<(Condition, Span)>;

/// Reads a message's `when`.
pub(in crate::text) fn conjuncts(
    source: &SourceString,
    scope: &Scope<'_>,
    found: &mut Diagnostics,
) -> Option<Conjuncts> {
    let read = |resolver: &Resolver<'_>| {
        let node = tree::tree(source.text())?;
        let parts = match &node.kind {
            NodeKind::All(parts) => parts.as_slice(),
            _ => std::slice::from_ref(&node),
        };
        parts
            .iter()
            .map(|part| Ok((resolver.condition(part)?, source.span(part.range.clone()))))
            .collect::<Resolved<_>>()
    };
    Resolver::run(source, scope, found, read)
}

/// Reads a message's `length`: a number, a range of numbers or a set of both.
pub(in crate::text) fn length(
    source: &SourceString,
    scope: &Scope<'_>,
    found: &mut Diagnostics,
) -> Option<Conjuncts> {
    let read = |resolver: &Resolver<'_>| {
        let node = tree::tree(source.text())?;
        let condition = resolver.among(Integer::Len, &node, &node.range)?;
        Ok(vec![(condition, source.span(node.range))])
    };
    Resolver::run(source, scope, found, read)
}

impl WrittenField {
    /// Reads `u16 le[3..=5] @ end(name) + 2`.
    pub(in crate::text) fn read(source: &SourceString, found: &mut Diagnostics) -> Option<Self> {
        match tree::field(source.text()) {
            Ok((kind, place)) => Some(Self { kind, place }),
            Err(fault) => {
                found.push(diagnostic(source, fault, Severity::Error));
                None
            }
        }
    }

    /// The names that its place has: those of fields must stand before it.
    pub(in crate::text) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut left = vec![&self.place];
        while let Some(node) = left.pop() {
            match &node.kind {
                NodeKind::Name(name) | NodeKind::Call(_, name, _) => names.push(name.as_str()),
                NodeKind::Arithmetic(_, one, other) => left.extend([&**one, &**other]),
                _ => {}
            }
        }
        names
    }

    /// The field, its place made of those that are in scope.
    pub(in crate::text) fn resolve(
        &self,
        name: &str,
        scope: &Scope<'_>,
        source: &SourceString,
        found: &mut Diagnostics,
    ) -> Option<Field> {
        Resolver::run(source, scope, found, |resolver| {
            let kind = resolver.kind(&self.kind)?;
            Ok(Field { name: name.to_owned(), kind, at: resolver.integer(&self.place)? })
        })
    }
}

fn diagnostic(source: &SourceString, fault: Fault, severity: Severity) -> Diagnostic {
    let Fault { range, message, help } = fault;
    Diagnostic { severity, span: source.span(range), message, help, related: None }
}

struct Resolver<'a> {
    scope: &'a Scope<'a>,
    /// What works and is likely not meant.
    warnings: RefCell<Vec<Fault>>,
}

/// What a part of an expression is.
enum Operand {
    Number(Integer),
    Bytes(Vec<u8>),
    /// The text of a field, and whether the case of letters counts.
    Text(FieldId, bool),
    Name(FieldId),
}

type Resolved<T> = Result<T, Fault>;

impl<'a> Resolver<'a> {
    fn run<T>(
        source: &SourceString,
        scope: &'a Scope<'a>,
        found: &mut Diagnostics,
        read: impl FnOnce(&Self) -> Resolved<T>,
    ) -> Option<T> {
        let resolver = Self { scope, warnings: RefCell::default() };
        let read = read(&resolver);
        for warning in resolver.warnings.into_inner() {
            found.push(diagnostic(source, warning, Severity::Warning));
        }
        match read {
            Ok(read) => Some(read),
            Err(fault) => {
                found.push(diagnostic(source, fault, Severity::Error));
                None
            }
        }
    }

    fn warn(&self, fault: Fault) {
        self.warnings.borrow_mut().push(fault);
    }

    fn condition(&self, node: &Node) -> Resolved<Condition> {
        let all =
            |parts: &[Node]| parts.iter().map(|part| self.condition(part)).collect::<Resolved<Vec<_>>>();
        match &node.kind {
            NodeKind::Truth(true) => Ok(Condition::TRUE),
            NodeKind::Truth(false) => Ok(Condition::Any(Vec::new())),
            NodeKind::All(parts) => Ok(Condition::All(all(parts)?)),
            NodeKind::Any(parts) => Ok(Condition::Any(all(parts)?)),
            NodeKind::Not(inner) => Ok(Condition::Not(Box::new(self.condition(inner)?))),
            NodeKind::Compare(comparison, left, right) => self.compare(*comparison, left, right, &node.range),
            NodeKind::In(left, right) => match self.operand(left)? {
                Operand::Number(number) => self.among(number, right, &node.range),
                Operand::Text(field, ignores_case) => self.text(field, ignores_case, items(right)),
                Operand::Name(field) => self.name(field, false, items(right)),
                Operand::Bytes(_) => Err(constant(left)),
            },
            NodeKind::Under(left, right) => match self.operand(left)? {
                Operand::Name(field) => self.name(field, true, items(right)),
                _ => Err(Fault::new(left.range.clone(), "this is no domain name")
                    .help("under is asked of fields that are dns-name")),
            },
            NodeKind::Range(..) | NodeKind::Set(_) => {
                Err(Fault::new(node.range.clone(), "a range or a set is no condition")
                    .help("x in 1..=5 is one"))
            }
            _ => {
                let help = "compare it: x == 1, x & 1 != 0";
                Err(Fault::new(node.range.clone(), "a number or a text is no condition").help(help))
            }
        }
    }

    fn compare(
        &self,
        comparison: Comparison,
        left: &Node,
        right: &Node,
        range: &Range<usize>,
    ) -> Resolved<Condition> {
        let (one, other) = (self.operand(left)?, self.operand(right)?);
        let is_equality = matches!(comparison, Comparison::Equal | Comparison::Unequal);
        let held = match (one, other) {
            (Operand::Number(left), Operand::Number(right)) => {
                return Ok(self.compare_numbers(comparison, left, right, range));
            }
            (Operand::Number(number), Operand::Bytes(bytes)) => {
                let bytes = self.bytes_as_integer(&number, &bytes, &right.range)?;
                return Ok(self.compare_numbers(comparison, number, bytes, range));
            }
            (Operand::Bytes(bytes), Operand::Number(number)) => {
                let bytes = self.bytes_as_integer(&number, &bytes, &left.range)?;
                return Ok(self.compare_numbers(comparison, bytes, number, range));
            }
            (Operand::Bytes(_), Operand::Bytes(_)) => return Err(constant(left)),
            (Operand::Text(..), _)
            | (_, Operand::Text(..))
            | (Operand::Name(_), _)
            | (_, Operand::Name(_))
                if !is_equality =>
            {
                return Err(Fault::new(
                    range.clone(),
                    "texts and names are equal or not, neither less nor greater",
                ));
            }
            (Operand::Text(field, ignores_case), Operand::Bytes(_)) => {
                self.text(field, ignores_case, slice(right))
            }
            (Operand::Bytes(_), Operand::Text(field, ignores_case)) => {
                self.text(field, ignores_case, slice(left))
            }
            (Operand::Name(field), Operand::Bytes(_)) => self.name(field, false, slice(right)),
            (Operand::Bytes(_), Operand::Name(field)) => self.name(field, false, slice(left)),
            _ => {
                let help = "texts and domain names are compared with bytes: x == 'abc'; numbers with numbers";
                return Err(Fault::new(range.clone(), "these two can't be compared").help(help));
            }
        }?;
        Ok(if comparison == Comparison::Equal { held } else { Condition::Not(Box::new(held)) })
    }

    /// What can't be otherwise is a warning: somebody meant something else.
    fn compare_numbers(
        &self,
        comparison: Comparison,
        left: Integer,
        right: Integer,
        range: &Range<usize>,
    ) -> Condition {
        let (one, other) = (self.bounds(&left), self.bounds(&right));
        let never = match comparison {
            Comparison::Equal => one.excludes(other),
            Comparison::Unequal => one.single().is_some() && one.single() == other.single(),
            Comparison::Less => one.min >= other.max,
            Comparison::LessOrEqual => one.min > other.max,
            Comparison::Greater => one.max <= other.min,
            Comparison::GreaterOrEqual => one.max < other.min,
        };
        let always = match comparison {
            Comparison::Equal => one.single().is_some() && one.single() == other.single(),
            Comparison::Unequal => one.excludes(other),
            Comparison::Less => one.max < other.min,
            Comparison::LessOrEqual => one.max <= other.min,
            Comparison::Greater => one.min > other.max,
            Comparison::GreaterOrEqual => one.min >= other.max,
        };
        if never || always {
            let what = if never { "can never be true" } else { "is true wherever its bytes are there" };
            let help = format!("the left side is {one}, the right side {other}");
            self.warn(Fault::new(range.clone(), format!("this comparison {what}")).help(help));
        }
        Condition::Compare(comparison, left, right)
    }

    /// A number in ranges.
    fn among(&self, number: Integer, set: &Node, range: &Range<usize>) -> Resolved<Condition> {
        let bounds = self.bounds(&number);
        let mut ranges = Vec::new();
        for item in items(set) {
            let (low, high) = match &item.kind {
                NodeKind::Range(low, high, is_closed) => {
                    let (start, end) =
                        (self.constant_beside(&number, low)?, self.constant_beside(&number, high)?);
                    let end = if *is_closed { Some(end) } else { end.checked_sub(1) };
                    match end {
                        Some(end) if start <= end => (start, end),
                        _ => return Err(Fault::new(item.range.clone(), "this range has no number in it")),
                    }
                }
                _ => {
                    let value = self.constant_beside(&number, item)?;
                    (value, value)
                }
            };
            if bounds.max < low || high < bounds.min || low == high && low & !bounds.bits != 0 {
                let message = "no number that is looked for is this one";
                self.warn(Fault::new(item.range.clone(), message).help(format!("it is {bounds}")));
            }
            ranges.push(low..=high);
        }
        let ranges = merged(ranges);
        if ranges.len() == 1 && *ranges[0].start() <= bounds.min && bounds.max <= *ranges[0].end() {
            let message = "this is true wherever its bytes are there";
            self.warn(Fault::new(range.clone(), message).help(format!("the number is {bounds}")));
        }
        Ok(Condition::Among(number, ranges))
    }

    /// What a number is compared with: a constant, or bytes that are one.
    fn constant_beside(&self, number: &Integer, node: &Node) -> Resolved<u64> {
        let other = match self.operand(node)? {
            Operand::Number(other) => other,
            Operand::Bytes(bytes) => self.bytes_as_integer(number, &bytes, &node.range)?,
            Operand::Text(..) | Operand::Name(_) => return Err(no_constant(node)),
        };
        match other {
            Integer::Constant(value) => Ok(value),
            _ => Err(no_constant(node)),
        }
    }

    fn text<'n>(
        &self,
        field: FieldId,
        ignores_case: bool,
        items: impl IntoIterator<Item = &'n Node>,
    ) -> Resolved<Condition> {
        let kind = &self.scope.fields[field.0].kind;
        let mut texts = Vec::new();
        for item in items {
            let NodeKind::Bytes(bytes) = &item.kind else {
                return Err(
                    Fault::new(item.range.clone(), "a text is compared with bytes").help("such as 'abc'")
                );
            };
            if ignores_case && bytes.iter().any(u8::is_ascii_uppercase) {
                let lower = String::from_utf8_lossy(bytes).to_ascii_lowercase();
                let help = format!("lower(x) has none of A to Z: write '{}'", shown(&lower));
                return Err(Fault::new(item.range.clone(), "this can never be equal").help(help));
            }
            let most = match kind {
                FieldKind::Bytes(count) if bytes.len() != usize::from(*count) => {
                    let message = format!("{} bytes are compared with {count}", bytes.len());
                    return Err(Fault::new(item.range.clone(), message));
                }
                FieldKind::Until { within, .. } => usize::from(*within) - 1,
                FieldKind::Counted(LengthForm::Nibble) => 12,
                _ => usize::from(FieldKind::MOST_WALKED),
            };
            if bytes.len() > most {
                let message = format!("{} bytes are more than the {most} that are compared", bytes.len());
                return Err(Fault::new(item.range.clone(), message));
            }
            if let FieldKind::Until { terminator, .. } = kind
                && bytes.contains(terminator)
            {
                return Err(Fault::new(
                    item.range.clone(),
                    "the byte that ends the text can't be part of it",
                ));
            }
            texts.push(bytes.clone());
        }
        texts.sort();
        texts.dedup();
        Ok(Condition::Text { field, ignores_case, texts })
    }

    fn name<'n>(
        &self,
        field: FieldId,
        is_below_enough: bool,
        items: impl IntoIterator<Item = &'n Node>,
    ) -> Resolved<Condition> {
        let mut names = Vec::new();
        for item in items {
            let NodeKind::Bytes(bytes) = &item.kind else {
                let help = "such as 'example.org'";
                return Err(
                    Fault::new(item.range.clone(), "a domain name is compared with a name").help(help)
                );
            };
            names.push(domain_name(bytes).map_err(|message| Fault::new(item.range.clone(), message))?);
        }
        names.sort();
        names.dedup();
        Ok(Condition::Name { field, is_below_enough, names })
    }

    fn integer(&self, node: &Node) -> Resolved<Integer> {
        match self.operand(node)? {
            Operand::Number(number) => Ok(number),
            Operand::Bytes(bytes) => self.bytes_as_integer(&Integer::Len, &bytes, &node.range),
            Operand::Text(..) | Operand::Name(_) => {
                let help = "end(x) and rest(x) say where it ends";
                Err(Fault::new(node.range.clone(), "a number is wanted here, not a text").help(help))
            }
        }
    }

    fn operand(&self, node: &Node) -> Resolved<Operand> {
        match &node.kind {
            NodeKind::Number(value) => Ok(Operand::Number(Integer::Constant(*value))),
            NodeKind::Bytes(bytes) => Ok(Operand::Bytes(bytes.clone())),
            NodeKind::Name(name) => self.named(name, &node.range),
            NodeKind::Call(function, name, range) => self.call(*function, name, range),
            NodeKind::Arithmetic(operation, left, right) => {
                let (one, other) = (self.integer_beside(left, right)?, self.integer_beside(right, left)?);
                if let (Integer::Constant(one), Integer::Constant(other)) = (&one, &other) {
                    let value = operation.apply(*one, *other);
                    let value = value
                        .ok_or_else(|| Fault::new(node.range.clone(), "this is never a number of 64 bits"))?;
                    return Ok(Operand::Number(Integer::Constant(value)));
                }
                let is_shift = matches!(operation, Operation::ShiftLeft | Operation::ShiftRight);
                if is_shift && !matches!(other, Integer::Constant(0..=63)) {
                    let message = "shifts are by 0 to 63 bits, said by a number or a constant";
                    return Err(Fault::new(right.range.clone(), message));
                }
                Ok(Operand::Number(Integer::Binary(*operation, Box::new(one), Box::new(other))))
            }
            _ => {
                let message = "a number, bytes or a field is wanted here, not a condition";
                Err(Fault::new(node.range.clone(), message)
                    .help("& | ^ bind tighter than ==, and and or looser"))
            }
        }
    }

    /// A side of an operator. Bytes are read as the other side's are.
    fn integer_beside(&self, node: &Node, other: &Node) -> Resolved<Integer> {
        match (&node.kind, &other.kind) {
            (NodeKind::Bytes(bytes), kind) if !matches!(kind, NodeKind::Bytes(_)) => {
                let other = self.integer(other)?;
                self.bytes_as_integer(&other, bytes, &node.range)
            }
            _ => self.integer(node),
        }
    }

    fn named(&self, name: &str, range: &Range<usize>) -> Resolved<Operand> {
        match name {
            "len" => return Ok(Operand::Number(Integer::Len)),
            "source_port" => return Ok(Operand::Number(Integer::SourcePort)),
            _ => {}
        }
        if let Some(value) = self.scope.constants.get(name) {
            return Ok(Operand::Number(Integer::Constant(*value)));
        }
        let id = self.field(name, range)?;
        Ok(match self.scope.fields[id.0].kind {
            FieldKind::DnsName => Operand::Name(id),
            ref kind if kind.is_number() => Operand::Number(Integer::Field(id)),
            _ => Operand::Text(id, false),
        })
    }

    fn field(&self, name: &str, range: &Range<usize>) -> Resolved<FieldId> {
        let found = self.scope.fields.iter().position(|field| field.name == name);
        found.map(FieldId).ok_or_else(|| {
            let names = self.scope.fields.iter().map(|field| field.name.as_str());
            let names = names.chain(self.scope.constants.keys().map(String::as_str)).chain(super::RESERVED);
            let fault = Fault::new(range.clone(), format!("there is no field or constant '{}'", shown(name)));
            match crate::text::nearest(name, names) {
                Some(nearest) => fault.help(format!("'{nearest}' is there")),
                None => fault.help("name it in [fields] or [constants]"),
            }
        })
    }

    fn call(&self, function: Function, name: &str, range: &Range<usize>) -> Resolved<Operand> {
        let id = self.field(name, range)?;
        let end = Integer::End(id);
        match function {
            Function::Start => Ok(Operand::Number(Integer::Start(id))),
            Function::End => Ok(Operand::Number(end)),
            Function::Rest => Ok(Operand::Number(Integer::Binary(
                Operation::Subtract,
                Box::new(Integer::Len),
                Box::new(end),
            ))),
            Function::Lower if self.scope.fields[id.0].kind.is_text() => Ok(Operand::Text(id, true)),
            Function::Lower => {
                let message = format!("'{name}' is no text");
                let help = "domain names are compared without case anyway, and numbers have none";
                Err(Fault::new(range.clone(), message).help(help))
            }
        }
    }

    /// Bytes as the integer that a packet has them for, beside another integer.
    fn bytes_as_integer(&self, beside: &Integer, bytes: &[u8], range: &Range<usize>) -> Resolved<Integer> {
        let (width, order) = self.form(beside);
        let is_integer = matches!(bytes.len(), 1 | 2 | 4 | 8);
        if !is_integer || width.is_some_and(|width| width.bytes() != bytes.len() as u64) {
            let message = match width {
                Some(width) => {
                    format!("{} bytes are compared with an integer of {}", bytes.len(), width.bytes())
                }
                None => format!("{} bytes are no integer; 1, 2, 4 or 8 are", bytes.len()),
            };
            return Err(
                Fault::new(range.clone(), message).help("a field of kind bytes N is compared with any bytes")
            );
        }
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Ok(Integer::Constant(match order {
            Order::Big => bytes.iter().fold(0, add),
            Order::Little => bytes.iter().rev().fold(0, add),
        }))
    }

    /// The width of a field, where an integer is one or some of its bits, and which byte comes first.
    fn form(&self, integer: &Integer) -> (Option<Width>, Order) {
        match integer {
            Integer::Field(id) => match self.scope.fields[id.0].kind {
                FieldKind::Unsigned { width, order, bits: None } => (Some(width), order),
                _ => (None, Order::Big),
            },
            Integer::Binary(Operation::And | Operation::Or | Operation::Xor, left, right) => {
                match self.form(left) {
                    (None, Order::Big) => self.form(right),
                    form => form,
                }
            }
            _ => (None, Order::Big),
        }
    }

    fn kind(&self, kind: &WrittenKind) -> Resolved<FieldKind> {
        let number = |node: &Node, least: u64, most: u64, what: &str| match self.integer(node)? {
            Integer::Constant(value) if (least..=most).contains(&value) => Ok(value),
            _ => Err(Fault::new(node.range.clone(), format!("{what} is a number from {least} to {most}"))),
        };
        Ok(match kind {
            WrittenKind::Unsigned { width, order, bits } => {
                let highest = 8 * width.bytes() - 1;
                let bits = match bits {
                    None => None,
                    Some((low, high, is_closed)) => {
                        let from = number(low, 0, highest, "the lowest bit")?;
                        let to = number(high, from, highest + u64::from(!is_closed), "the highest bit")?;
                        let to =
                            if *is_closed { Some(to) } else { to.checked_sub(1).filter(|to| from <= *to) };
                        let to = to
                            .ok_or_else(|| Fault::new(high.range.clone(), "there is no bit in this range"))?;
                        Some((from as u8, to as u8))
                    }
                };
                FieldKind::Unsigned { width: *width, order: *order, bits }
            }
            WrittenKind::Bytes(count) => {
                let most = u64::from(FieldKind::MOST_WALKED);
                FieldKind::Bytes(number(count, 1, most, "how many bytes there are")? as u16)
            }
            WrittenKind::Varint => FieldKind::Varint,
            WrittenKind::DnsName => FieldKind::DnsName,
            WrittenKind::Decimal => FieldKind::Decimal,
            WrittenKind::Counted(form) => FieldKind::Counted(*form),
            WrittenKind::Until { terminator, within } => {
                let [terminator] = terminator[..] else {
                    return Err(Fault::new(0..0, "one byte ends a text").help("such as ' ' or '\\n'"));
                };
                let most = u64::from(FieldKind::MOST_WALKED);
                let within = match within {
                    Some(within) => number(within, 1, most, "how many bytes are looked at")? as u16,
                    None => FieldKind::MOST_WALKED,
                };
                FieldKind::Until { terminator, within }
            }
        })
    }

    /// What an integer can be, at most.
    fn bounds(&self, integer: &Integer) -> Bounds {
        match integer {
            Integer::Constant(value) => Bounds { min: *value, max: *value, bits: *value },
            // 65535 less UDP's header, which an IPv6 packet may have (RFC 768, RFC 8200).
            Integer::Len => Bounds::up_to(u64::from(u16::MAX) - 8),
            Integer::SourcePort => Bounds::up_to(u16::MAX.into()),
            Integer::Field(id) => Bounds::up_to(match self.scope.fields[id.0].kind {
                FieldKind::Unsigned { width, bits: None, .. } => width.max(),
                FieldKind::Unsigned { bits: Some((low, high)), .. } => u64::MAX >> (63 - (high - low)),
                FieldKind::Varint => u64::MAX >> 2,
                _ => 9_999_999_999_999_999_999,
            }),
            Integer::Start(_) => Bounds::up_to(u16::MAX.into()),
            Integer::End(_) => Bounds { min: 1, ..Bounds::up_to(u16::MAX.into()) },
            Integer::Binary(operation, left, right) => self.bounds(left).with(*operation, self.bounds(right)),
        }
    }
}

/// The parts of a set; anything else is a set of one.
fn items(node: &Node) -> &[Node] {
    match &node.kind {
        NodeKind::Set(items) => items,
        _ => slice(node),
    }
}

const fn slice(node: &Node) -> &[Node] {
    std::slice::from_ref(node)
}

fn constant(node: &Node) -> Fault {
    Fault::new(node.range.clone(), "bytes are compared with bytes: that is the same for every packet")
}

fn no_constant(node: &Node) -> Fault {
    Fault::new(node.range.clone(), "a number or a constant is wanted here")
        .help("fields are compared by == < >= and the like")
}

/// Sorted, none touching the next.
fn merged(mut ranges: Vec<std::ops::RangeInclusive<u64>>) -> Vec<std::ops::RangeInclusive<u64>> {
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut merged: Vec<std::ops::RangeInclusive<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end().saturating_add(1) => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// A domain name as packets have it (RFC 1035, 3.1), with A to Z as a to z.
fn domain_name(text: &[u8]) -> Result<Vec<u8>, String> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    let mut name = Vec::with_capacity(text.len() + 2);
    for label in text.split(|byte| *byte == b'.').filter(|_| !text.is_empty()) {
        let shown = String::from_utf8_lossy(label);
        match label.len() {
            0 => return Err("a label between the dots is empty".to_owned()),
            1..=63 => {}
            _ => return Err(format!("the label '{shown}' has more than 63 bytes")),
        }
        if !label.is_ascii() {
            return Err(format!("'{shown}' is not ASCII: packets have it as xn--… (RFC 5891)"));
        }
        name.push(label.len() as u8);
        name.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    name.push(0);
    if name.len() > usize::from(FieldKind::MOST_WALKED) {
        return Err("a domain name has at most 255 bytes (RFC 1035, 2.3.4)".to_owned());
    }
    Ok(name)
}
