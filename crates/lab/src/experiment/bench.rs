//! What every run of an experiment shares, and why one comes to no good end.

use thiserror::Error;

use super::{
    ceiling::Ceiling,
    definition::Definition,
    interrupt::{Interrupt, Interrupted},
    machine::Pinning,
};

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

/// Why a run came to no good end.
#[derive(Debug, Error)]
pub enum RunError {
    /// SIGINT or SIGTERM.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The server or a client failed.
    #[error("{0}")]
    Failed(String),
}
