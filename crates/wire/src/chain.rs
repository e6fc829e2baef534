//! Which filters decide, in order: the constant of the object that has all of them, compiled ahead of time.

/// Name of the [`Chain`] in an object: a constant that the loader sets before the kernel sees the program, so that the
/// verifier knows its value and removes the filters that aren't in the chain.
pub const CHAIN: &str = "CHAIN";

/// How many guards may stand before the last filter.
pub const MAX_GUARDS: usize = 2;

/// A chain of filters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Chain {
    /// [`BLOCKLIST`] and [`QUOTA`] in the order in which they decide, or [`NONE`].
    pub guards: [u8; MAX_GUARDS],
    /// Who decides about what they pass on: one of the other numbers.
    pub last: u8,
}

/// No guard.
pub const NONE: u8 = 0;
/// Drops packets of blocked sources.
pub const BLOCKLIST: u8 = 1;
/// Drops packets of sources that send more than their quota.
pub const QUOTA: u8 = 2;

/// Accepts.
pub const ACCEPT: u8 = 0;
/// Drops.
pub const REJECT: u8 = 1;
/// Accepts payloads that begin with a command.
pub const VALID_COMMAND: u8 = 2;
/// The same where the UDP length is that command's.
pub const ROBUST_VALID_COMMAND: u8 = 3;
/// Accepts or drops as the parameter in the map says.
pub const PARAMETER: u8 = 4;
/// Accepts, and keeps a copy of the packet.
pub const PRINT: u8 = 5;
/// Accepts, and counts.
pub const COUNT: u8 = 6;
/// Accepts commands of their length, those that ask for a key only where it is known.
pub const KNOWN_KEY: u8 = 7;
