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
