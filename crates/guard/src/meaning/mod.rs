//! What guards mean.
//!
//! A packet's bytes are read by [`Field`]s, [`Integer`]s are made of what they hold, [`Condition`]s compare them, [`Message`]s are
//! conditions with a name, and a [`Service`] says what happens to a packet by its source, its message and those before it.
//!
//! Bytes may be absent. A condition that needs an absent byte is neither true nor false but absent, and what is made of it
//! follows Kleene's three values ([`Truth`]), so that the order of evaluation never matters. A message matches on true alone.

mod condition;
mod field;
mod join;
mod memory;
mod message;
mod packet;
mod prefixes;
mod service;
mod successor;
mod truth;

pub use condition::{Comparison, Condition};
pub use field::{Extent, Field, FieldId, FieldKind, Integer, LengthForm, Operation, Order, Width};
pub use memory::{LimitId, Memory, RateLimit, SourceKey};
pub use message::{Message, MessageId, Party, Protocol};
pub use packet::Packet;
pub use prefixes::PrefixList;
pub use service::{
    Acceptance, Decision, Fate, GuardHook, KnownSources, Limit, Listen, Mode, Per, Placement, Sample,
    Senders, Service, ServicePart, Unjudged, UnjudgedKind,
};
pub use truth::Truth;

#[cfg(test)]
mod tests;
