//! The maps that kernel programs share with user space: their names, and the layout of their values.

/// Per-CPU array of one `[u64; 2]`: packets accepted, packets dropped. In every filter but the accept-all one,
/// which stays empty so that its cost is the cost of having a program at all.
pub const VERDICTS: &str = "verdicts";

/// Array of one `u32`: 0 accepts, anything else drops.
pub const PARAMETER: &str = "parameter";

/// Name of the constant that `parameterized-filter` reads when its parameter is bound at load; the same values.
pub const PARAMETER_CONSTANT: &str = "PARAMETER_CONSTANT";

/// Per-CPU array of one `u64`: packets seen.
pub const COUNTER: &str = "counter";

/// Hash from a key of the bag, a `u32`, to 1 as a `u8`.
pub const KEYS: &str = "keys";

/// Array of one `[u64; 2]`: nanoseconds from one packet of a source to its next, and how many of them a packet may be
/// early.
pub const QUOTA: &str = "quota_rate";

/// LRU hash from a source, 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d, to when its next packet is due: a `u64`
/// of nanoseconds of `CLOCK_MONOTONIC`.
pub const SOURCES: &str = "sources";

/// Trie from a prefix (its bits as a `u32`, and a source's 16 bytes) to when it ends: a `u64` of nanoseconds of
/// `CLOCK_MONOTONIC`, 0 for ever.
pub const BLOCKLIST: &str = "blocked";

/// Sockets by the number of the worker that reads from them (`BPF_MAP_TYPE_REUSEPORT_SOCKARRAY`).
pub const WORKERS: &str = "workers";

/// Per-CPU array of one [`Capture`].
pub const CAPTURE: &str = "capture";

/// How many bytes of a packet `print-filter` keeps.
pub const CAPTURE_LEN: usize = 500;

/// The last packet that a CPU saw.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Capture {
    /// Packets seen on this CPU.
    pub seen: u64,
    /// Length of the packet from its UDP header on, bytes.
    pub len: u32,
    /// How many of them `bytes` holds.
    pub captured: u32,
    /// The packet from its UDP header on.
    pub bytes: [u8; CAPTURE_LEN],
}
