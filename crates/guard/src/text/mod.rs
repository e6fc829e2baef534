//! Protocols and guards as people write them.

mod check;
mod expression;
mod guard;
mod named_files;
mod protocol;
mod rules;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use guard::{GuardReading, ServicePlaces, guard};
pub use named_files::{FileReading, Files, NamedText, Unavailable};
pub use protocol::{ProtocolReading, protocol};
use weir_asm::text::nearest;
