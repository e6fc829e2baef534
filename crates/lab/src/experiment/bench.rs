//! What every run of an experiment shares.

use super::{ceiling::Ceiling, definition::Definition, interrupt::Interrupt, machine::Pinning};

/// What every run of an experiment shares.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The experiment.
    pub definition: &'a Definition,
    /// Which cores belong to whom.
    pub pinning: &'a Pinning,
    /// Ends a run before its time.
    pub interrupt: &'a Interrupt,
    /// How fast the clients could send, where it was measured.
    pub ceiling: Option<Ceiling>,
}
