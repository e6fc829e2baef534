//! Which filters decide, in order: the constant of the object that has all of them, compiled ahead of time.

/// Name of the [`Chain`] in an object: a constant that the loader sets before the kernel sees the program, so that the
/// verifier knows its value and removes the filters that aren't in the chain.
pub const CHAIN: &str = "CHAIN";

/// How many source checks may stand before the last filter.
pub const MAX_CHECKS: usize = 2;

/// A chain of filters, each by its [`number`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Chain {
    /// The source checks in the order in which they decide, or [`NONE`].
    pub checks: [u32; MAX_CHECKS],
    /// Who decides about what they pass on.
    pub last: u32,
}

/// No source check; no filter has this number.
pub const NONE: u32 = 0;

/// The number of the filter of that name: its FNV-1a hash without the lowest bit. It is below 2³¹, so that an instruction's
/// immediate holds it, which BPF extends by its sign.
pub const fn number(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash >> 1
}
