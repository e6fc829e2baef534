//! The maps that kernel programs share with user space: their names, and the layout of their values.
//!
//! The BPF programs are built for another target and can't depend on this crate; they name the same maps, and the
//! kernel tests open each by these names.

/// Per-CPU array of two `u64`: packets accepted, packets dropped. In every filter but the accept-all one, which
/// stays empty so that its cost is the cost of having a program at all.
pub const VERDICTS: &str = "verdicts";

/// Array of one `u32`: 0 accepts, anything else drops.
pub const PARAMETER: &str = "parameter";

/// Per-CPU array of one `u64`: packets seen.
pub const COUNTER: &str = "counter";

/// Per-CPU array of one captured packet.
pub const CAPTURE: &str = "capture";

/// Name of the constant that `parameterized-filter` reads when its parameter is bound at load.
pub const PARAMETER_CONSTANT: &str = "PARAMETER_CONSTANT";
