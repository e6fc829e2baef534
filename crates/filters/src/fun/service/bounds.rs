//! Bounds of what a service asks of payloads: how long messages are at least, where fields end at most.

use weir_guard::meaning::{
    Comparison, Condition, Field, FieldId, FieldKind, Integer, LengthForm, Operation, Party, Protocol,
    Service,
};

use super::{Compiler, Window};

/// Whether a service's fields, as far as packets by that party depend on them, are in the window.
pub(super) fn is_in_window(service: &Service, by: Party, window: Window) -> bool {
    service.protocol.fields_of(conditions(service, by)).into_iter().all(|id| {
        let field = service.protocol.field(id);
        match (&field.kind, &field.at) {
            (FieldKind::Unsigned { width, .. }, Integer::Constant(at)) => window.has(*at, *width),
            (FieldKind::Bytes(count), Integer::Constant(at)) => window.has_all(*at, (*count).into()),
            _ => false,
        }
    })
}

/// What decides about packets by that party.
pub(super) fn conditions(service: &Service, by: Party) -> Vec<&Condition> {
    let messages = service.protocol.messages.iter().filter(|each| each.by.is_none_or(|party| party == by));
    let accept = service.accept.iter().filter(|_| by == Party::Client);
    messages.map(|message| &message.when).chain(accept.map(|each| &each.when)).collect()
}

/// No payload by that party that is shorter is a message.
pub(super) fn shortest_message(service: &Service, by: Party) -> u64 {
    let messages = service.protocol.messages.iter().filter(|each| each.by.is_none_or(|party| party == by));
    let least = messages.map(|message| least_len(&service.protocol, &message.when, true)).min();
    least.unwrap_or(0).min(i16::MAX as u64)
}

/// No payload that is shorter makes a condition `wanted`: what is asked of must be there.
fn least_len(protocol: &Protocol, condition: &Condition, wanted: bool) -> u64 {
    let least = |part: &Condition| least_len(protocol, part, wanted);
    match (condition, wanted) {
        (Condition::All(parts), true) | (Condition::Any(parts), false) => parts.iter().map(least).max(),
        (Condition::All(parts), false) | (Condition::Any(parts), true) => parts.iter().map(least).min(),
        (Condition::Not(inner), _) => Some(least_len(protocol, inner, !wanted)),
        (Condition::Among(Integer::Len, ranges), true) => ranges.first().map(|range| *range.start()),
        (Condition::Compare(comparison, Integer::Len, Integer::Constant(len)), true) => match comparison {
            Comparison::Equal | Comparison::GreaterOrEqual => Some(*len),
            Comparison::Greater => Some(len.saturating_add(1)),
            Comparison::Unequal | Comparison::Less | Comparison::LessOrEqual => None,
        },
        (leaf, _) => {
            let fields = protocol.fields_of([leaf]);
            fields.into_iter().filter_map(|id| least_end(protocol.field(id))).max()
        }
    }
    .unwrap_or(0)
}

/// No field like it ends sooner where it is there; nothing where that depends on others.
fn least_end(field: &Field) -> Option<u64> {
    let Integer::Constant(at) = field.at else { return None };
    at.checked_add(match field.kind {
        FieldKind::Unsigned { width, .. } => width.bytes(),
        FieldKind::Bytes(count) => count.into(),
        _ => 1,
    })
}

/// Bytes of the longest integer of QUIC's (RFC 9000, 16), and of the longest length that is read of BER's.
pub(super) const MOST_VARINT: u64 = 8;
pub(super) const MOST_BER: u64 = 5;

/// Bytes of a walked field that are looked at, at most.
pub(super) fn looked_at(kind: &FieldKind) -> u64 {
    match kind {
        FieldKind::Until { within, .. } => (*within).into(),
        FieldKind::Decimal => u64::from(FieldKind::MOST_DIGITS) + 1,
        FieldKind::Varint | FieldKind::Counted(LengthForm::Varint) => MOST_VARINT,
        FieldKind::Counted(LengthForm::Ber) => MOST_BER,
        FieldKind::Counted(LengthForm::Nibble) => 1,
        FieldKind::Counted(LengthForm::Unsigned(width, _)) => width.bytes(),
        _ => u64::from(FieldKind::MOST_WALKED) + 1,
    }
}

impl Compiler<'_> {
    /// No field of that kind ends, or is asked whether it does, further behind; nothing where that depends on the packet.
    pub(super) fn most_end(&self, id: FieldId) -> Option<u64> {
        let field = self.service.protocol.field(id);
        let len = match field.kind {
            FieldKind::Unsigned { width, .. } => width.bytes(),
            FieldKind::Bytes(count) => count.into(),
            FieldKind::Counted(_) => return None,
            _ => looked_at(&field.kind),
        };
        self.most(&field.at)?.checked_add(len)
    }

    /// No packet has more there.
    pub(super) fn most(&self, integer: &Integer) -> Option<u64> {
        match integer {
            Integer::Constant(value) => Some(*value),
            Integer::Start(id) | Integer::End(id) => self.most_end(*id),
            Integer::Binary(Operation::Add, left, right) => self.most(left)?.checked_add(self.most(right)?),
            Integer::Binary(Operation::Subtract, left, _) => self.most(left),
            _ => None,
        }
    }
}
