//! How many sockets and threads send a load.

use std::num::NonZeroU32;

/// Sockets and threads of a load: every thread has as many sockets as the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fan {
    threads: NonZeroU32,
    sockets: NonZeroU32,
}

impl Fan {
    /// `sockets` sockets on `threads` threads, or nothing where the threads can't share them evenly.
    pub fn new(sockets: NonZeroU32, threads: NonZeroU32) -> Option<Self> {
        (sockets.get() % threads == 0).then_some(Self { threads, sockets })
    }

    /// Sending threads.
    pub const fn threads(self) -> NonZeroU32 {
        self.threads
    }

    /// Sending sockets, of all threads together.
    pub const fn sockets(self) -> NonZeroU32 {
        self.sockets
    }
}

impl Default for Fan {
    /// One socket on one thread.
    fn default() -> Self {
        Self { threads: NonZeroU32::MIN, sockets: NonZeroU32::MIN }
    }
}
