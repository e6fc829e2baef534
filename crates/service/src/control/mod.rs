//! The control socket of a running server or guard: what is asked, who answers, and how to ask.

mod ask;
mod listener;
mod path;
mod protocol;
mod running;
#[cfg(test)]
mod tests;

use std::{io, path::PathBuf};

use thiserror::Error;

pub use ask::{AskError, Connection, ask, block_all};
pub use listener::{Answers, Control, ControlSocket};
pub use protocol::{BlockedPrefix, ControlRequest, GuardList, GuardRequest, NoPrefix, Prefix, Reply, Status};
pub(crate) use running::{Running, Setup};

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The path is somebody's.
    #[error("the control socket {path}: there is {by}; name another path, or remove it", path = path.display())]
    Taken {
        /// The path.
        path: PathBuf,
        /// What is there.
        by: &'static str,
    },
    /// The socket can't be made there.
    #[error("the control socket {path}: {cause}; its folder must exist and be writable, and the path at most 107 bytes \
             long", path = path.display())]
    Listen {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
}
