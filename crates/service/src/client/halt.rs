//! Ending a client before its behaviour ends.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Asks a client to send no more; copies ask the same one. It then says what came of what it did send.
#[derive(Clone, Debug, Default)]
pub struct Halt(Arc<AtomicBool>);

impl Halt {
    /// From the next packet on; what waits for its moment waits no longer, and a question that was asked gets its answer
    /// or its timeout.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What asks when it is set: for handlers of signals.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl PartialEq for Halt {
    /// Whether one asks for both.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
