//! Several protocols as one, for services that share a port.

use std::collections::HashMap;

use super::{Condition, FieldId, Integer, Protocol};

impl Protocol {
    /// Their messages, one protocol's behind the other's. Messages that have one name in two of them are called
    /// `protocol.message`; fields keep their names, which may then be several fields'.
    pub fn joined(protocols: Vec<Self>) -> Self {
        let mut owners: HashMap<String, usize> = HashMap::new();
        for message in protocols.iter().flat_map(|protocol| &protocol.messages) {
            *owners.entry(message.name.clone()).or_default() += 1;
        }
        let list =
            |of: fn(&Self) -> &str, between| protocols.iter().map(of).collect::<Vec<_>>().join(between);
        let name = list(|protocol| &protocol.name, "+");
        let source = list(|protocol| &protocol.source, "; ");
        let mut joined = Self { name, source, ..Self::default() };
        for protocol in protocols {
            let by = joined.fields.len();
            joined.fields.extend(protocol.fields.into_iter().map(|mut field| {
                field.at.shift_fields(by);
                field
            }));
            joined.messages.extend(protocol.messages.into_iter().map(|mut message| {
                message.when.shift_fields(by);
                if owners[&message.name] > 1 {
                    message.name = format!("{}.{}", protocol.name, message.name);
                }
                message
            }));
        }
        joined
    }
}

impl Protocol {
    /// The fields that conditions read, and those that these need, in the protocol's order.
    pub fn fields_of<'a>(&self, conditions: impl IntoIterator<Item = &'a Condition>) -> Vec<FieldId> {
        let mut is_read = vec![false; self.fields.len()];
        conditions
            .into_iter()
            .for_each(|condition| condition.read_fields(&mut |FieldId(id)| is_read[id] = true));
        // A field's place names those alone that stand before it.
        for id in (0..self.fields.len()).rev() {
            if is_read[id] {
                self.fields[id].at.fields().into_iter().for_each(|FieldId(id)| is_read[id] = true);
            }
        }
        (0..is_read.len()).filter(|id| is_read[*id]).map(FieldId).collect()
    }
}

impl Condition {
    fn read_fields(&self, read: &mut impl FnMut(FieldId)) {
        match self {
            Self::Compare(_, left, right) => left.fields().into_iter().chain(right.fields()).for_each(read),
            Self::Among(integer, _) => integer.fields().into_iter().for_each(read),
            Self::Text { field, .. } | Self::Name { field, .. } => read(*field),
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().for_each(|each| each.read_fields(read));
            }
            Self::Not(condition) => condition.read_fields(read),
        }
    }

    /// It is about the fields that stand `by` further on in the list.
    pub fn shift_fields(&mut self, by: usize) {
        match self {
            Self::Compare(_, left, right) => {
                left.shift_fields(by);
                right.shift_fields(by);
            }
            Self::Among(integer, _) => integer.shift_fields(by),
            Self::Text { field, .. } | Self::Name { field, .. } => field.0 += by,
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter_mut().for_each(|each| each.shift_fields(by));
            }
            Self::Not(condition) => condition.shift_fields(by),
        }
    }

    /// How many conditions and integers it is made of, itself counted.
    pub fn size(&self) -> usize {
        1 + match self {
            Self::Compare(_, left, right) => left.size() + right.size(),
            Self::Among(integer, ranges) => integer.size() + ranges.len(),
            Self::Text { texts: listed, .. } | Self::Name { names: listed, .. } => listed.len(),
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().map(Self::size).sum(),
            Self::Not(condition) => condition.size(),
        }
    }
}

impl Integer {
    /// It is made of the fields that stand `by` further on in the list.
    pub fn shift_fields(&mut self, by: usize) {
        match self {
            Self::Constant(_) | Self::Len | Self::SourcePort => {}
            Self::Field(FieldId(field)) | Self::Start(FieldId(field)) | Self::End(FieldId(field)) => {
                *field += by
            }
            Self::Binary(_, left, right) => {
                left.shift_fields(by);
                right.shift_fields(by);
            }
        }
    }

    /// How many integers it is made of, itself counted.
    pub fn size(&self) -> usize {
        1 + match self {
            Self::Binary(_, left, right) => left.size() + right.size(),
            _ => 0,
        }
    }

    /// The fields that it reads, as often as it reads them.
    pub fn fields(&self) -> Vec<FieldId> {
        let mut fields = Vec::new();
        let mut left = vec![self];
        while let Some(integer) = left.pop() {
            match integer {
                Self::Constant(_) | Self::Len | Self::SourcePort => {}
                Self::Field(field) | Self::Start(field) | Self::End(field) => fields.push(*field),
                Self::Binary(_, one, other) => left.extend([&**one, &**other]),
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::{Comparison, Field, FieldKind, Message, MessageId, Order, Packet, Party, Width};
    use super::*;

    fn byte_is(name: &str, at: u64, value: u64) -> Protocol {
        let kind = FieldKind::Unsigned { width: Width::One, order: Order::Big, bits: None };
        let when =
            Condition::Compare(Comparison::Equal, Integer::Field(FieldId(0)), Integer::Constant(value));
        Protocol {
            name: name.to_owned(),
            source: String::new(),
            fields: vec![Field { name: "first".to_owned(), kind, at: Integer::Constant(at) }],
            messages: vec![
                Message { name: "hello".to_owned(), by: None, when },
                Message { name: format!("of-{name}"), by: None, when: Condition::Any(Vec::new()) },
            ],
        }
    }

    #[test]
    fn joined_protocols_read_their_own_fields_and_tell_their_messages_apart() {
        let joined = Protocol::joined(vec![byte_is("one", 0, 7), byte_is("two", 1, 8)]);
        let names: Vec<_> = joined.messages.iter().map(|message| message.name.as_str()).collect();
        assert_eq!(names, ["one.hello", "of-one", "two.hello", "of-two"]);
        let source = SocketAddr::from(([192, 0, 2, 1], 5));
        let message_of = |payload: &[u8]| joined.message_of(&Packet::whole(source, payload), Party::Client);
        assert_eq!(message_of(&[7, 0]), Some(MessageId(0)));
        assert_eq!(message_of(&[0, 8]), Some(MessageId(2)));
        assert_eq!(message_of(&[8, 7]), None);
    }
}
