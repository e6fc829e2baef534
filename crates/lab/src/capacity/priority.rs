//! The priority of the servers and clients that are searched: above whatever else wants their cores for a moment.

use rustix::process::{getpriority_process, setpriority_process};
use serde::Serialize;

/// The highest that nice(2) knows. A real-time policy would be throttled where a server is busy all the time
/// (`sched_rt_runtime_us`, sched(7)).
const HIGHEST: i32 = -20;

/// At which priority a search ran.
///
/// A receive buffer of the usual size holds 166 small datagrams: at 200 000 packets/s those of 0.8 ms, while the
/// scheduler lets another process run for 3 ms before it is the server's turn again. Whether such a process comes by
/// decides then whether a rate is called carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Priority {
    /// The niceness of servers and clients, -20 to 19.
    pub nice: i32,
    /// Whether it is the highest.
    pub is_highest: bool,
}

impl Priority {
    /// Raises this thread's, which the processes that it starts inherit, as far as is allowed: without root, or
    /// CAP_SYS_NICE, it stays as it is.
    pub(super) fn raise() -> Self {
        // Where it isn't allowed, the search goes on and says so.
        let _ = setpriority_process(None, HIGHEST);
        let nice = getpriority_process(None).unwrap_or_default();
        Self { nice, is_highest: nice == HIGHEST }
    }
}
