//! Packet filters as specifications: what each decides, which toolkits and hooks can run it, and a reference in
//! plain Rust that every other implementation is checked against.
//!
//! Pure: nothing here touches the kernel, a clock or a file.
#![forbid(unsafe_code)]

pub mod audit;
mod blocklist;
mod carried;
mod catalogue;
pub mod cbpf;
pub mod corpus;
mod dynamic;
mod filter;
mod frame;
pub mod fun;
mod gso;
mod hook;
pub mod maps;
mod matrix;
mod moment;
mod packet;
mod reference;
mod refusal;
mod site;
mod source_check;
pub mod text;

pub use blocklist::{Blocklist, Effective, Until, key as prefix_key};
pub use carried::{Carried, CarriedUdp};
pub use catalogue::{CatalogueEntry, FilterName, MapUse};
pub use dynamic::{BLOCKED_PREFIXES, During, KNOWN_KEYS, QUOTA_SOURCES, Reference};
pub use filter::{Binding, Filter, Parameter};
pub use frame::{Found, extension_len, u16_at};
pub use gso::{GsoLayout, WayToSharedInfo};
pub use hook::{GsoView, Hook, Layer, Owner};
pub use matrix::{Combination, Gap, Toolkit};
pub use moment::Moment;
pub use packet::Packet;
pub use refusal::Refusal;
pub use site::{Endpoint, Features, Site, SuperPackets};
pub use source_check::{ChainError, NoQuota, Quota, SourceCheck, SourceChecks};
pub use text::UnknownName;

/// What a filter says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The packet goes on, whole.
    Accept,
    /// The packet ends here.
    Drop,
}

crate::names! {
    /// The name in what `weir verify` prints.
    Verdict::as_str { Accept = "accept", Drop = "drop" }
}
