//! Messages: what packets of a protocol are called.

use super::{Condition, Field, FieldId, Packet};

/// A message of a [`Protocol`], by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub usize);

/// Who sends a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// Whoever uses the service.
    Client,
    /// The service.
    Service,
}

/// A kind of packet that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// What guards call it.
    pub name: String,
    /// Who sends it, where not both do: a packet of the other is no such message.
    pub by: Option<Party>,
    /// Which packets it is: those for which this is true. Its own length and the messages that it is like are part of it.
    pub when: Condition,
}

/// The messages of a protocol, and the fields by which they are told from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocol {
    /// Its name.
    pub name: String,
    /// Where its facts are from: documents and their sections.
    pub source: String,
    /// In an order in which each names those alone that stand before it.
    pub fields: Vec<Field>,
    /// In the order in which they are tried.
    pub messages: Vec<Message>,
}

impl Protocol {
    /// A field of it.
    ///
    /// # Panics
    /// The field is another protocol's.
    pub fn field(&self, field: FieldId) -> &Field {
        &self.fields[field.0]
    }

    /// A message of it.
    ///
    /// # Panics
    /// The message is another protocol's.
    pub fn message(&self, message: MessageId) -> &Message {
        &self.messages[message.0]
    }

    /// Which message a packet is that `by` sends: the first that matches.
    pub fn message_of(&self, packet: &Packet<'_>, by: Party) -> Option<MessageId> {
        let is = |message: &Message| {
            message.by.is_none_or(|party| party == by) && message.when.of(packet, &self.fields).is_true()
        };
        self.messages.iter().position(is).map(MessageId)
    }
}
