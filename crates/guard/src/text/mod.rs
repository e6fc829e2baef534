//! Protocols and guards as people write them.

mod check;
mod expression;
mod guard;
mod library;
mod protocol;
mod rules;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use guard::{GuardReading, guard};
pub use library::{FileReading, Files, NamedText, Unavailable};
pub use protocol::{ProtocolReading, protocol};
use weir_asm::text::nearest;
