//! Why a run came to no good end.

use std::{error::Error as StdError, fmt, io, net::SocketAddr, process::ExitStatus, time::Duration};

use thiserror::Error;
use weir_hooks::HookError;

use super::interrupt::Interrupted;
use crate::{neighbour::NeighbourError, topology::NetError};

/// Why a run came to no good end.
#[derive(Debug, Error)]
pub enum RunError {
    /// SIGINT or SIGTERM.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Something failed.
    #[error(transparent)]
    Failed(#[from] RunFailure),
}

/// What failed.
#[derive(Debug, Error)]
pub enum RunFailure {
    /// A step was refused, by the kernel or by what it read.
    #[error("{tried}")]
    Refused {
        /// What was tried, on what.
        tried: String,
        /// What came back.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// The network between server and clients.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Those who were to keep cores busy.
    #[error(transparent)]
    Neighbours(#[from] NeighbourError),
    /// A program of the harness's own.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A server or a client.
    #[error("{name} {fault}; {last_words}")]
    Process {
        /// Its name.
        name: String,
        /// What it did.
        fault: ProcessFault,
        /// The end of its stderr.
        last_words: String,
    },
    /// A port that the definition gives to a server is another's.
    #[error(
        "{server} is to listen on port {} of {}, and can't: {cause}; end who has it (`ss -ulpn` tells), or give another \
         port in the definition",
        .address.port(),
        .address.ip()
    )]
    Port {
        /// The server's name.
        server: String,
        /// Where it is to listen.
        address: SocketAddr,
        /// What the kernel says; it stands in the message.
        cause: io::Error,
    },
    /// A server of weir's that says less than this one.
    #[error("{0} said that it is ready, but not where it listens (X_WEIR_LISTEN); it is another version")]
    NoAddress(String),
    /// A reply to the final GET.
    #[error("the final GET was answered with '{0}', which is no count in ASCII decimal")]
    NoCount(String),
    /// The filter decided somewhere else than the cell says.
    #[error(
        "{name} was to filter at {hook} and did at {decides_at}: {attached_to}; measure between two namespaces, which such \
         packets don't cross"
    )]
    DecidedElsewhere {
        /// The server's name.
        name: String,
        /// Where it was to decide.
        hook: String,
        /// Where it did.
        decides_at: String,
        /// What its program is attached to.
        attached_to: String,
    },
}

/// What a process of a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProcessFault {
    /// The server ended.
    #[error("ended before it was ready")]
    EndedUnready,
    /// It took longer to be ready than the definition gives it.
    #[error("was not ready within {} s (ready_within_s)", .0.as_secs())]
    NotReadyWithin(Duration),
    /// The server ended while it was to serve.
    #[error("ended while clients were sending to it")]
    EndedServing,
    /// The server ended when all was sent.
    #[error("ended before the final GET")]
    EndedUnasked,
    /// A client took longer than the definition gives it.
    #[error("had not ended after {} s (clients_within_s)", .0.as_secs())]
    NotEndedWithin(Duration),
    /// It ended badly.
    #[error("failed ({0})")]
    Failed(ExitStatus),
    /// The server had to be killed.
    #[error("obeyed neither STOP nor SIGTERM and was killed")]
    Killed,
}

/// For `map_err`: what `tried` says was refused.
pub fn refused<E: Into<Box<dyn StdError + Send + Sync>>>(
    tried: impl fmt::Display,
) -> impl FnOnce(E) -> RunError {
    move |cause| RunFailure::Refused { tried: tried.to_string(), cause: cause.into() }.into()
}

impl From<NetError> for RunError {
    fn from(error: NetError) -> Self {
        RunFailure::from(error).into()
    }
}

impl From<NeighbourError> for RunError {
    fn from(error: NeighbourError) -> Self {
        RunFailure::from(error).into()
    }
}

impl From<HookError> for RunError {
    fn from(error: HookError) -> Self {
        RunFailure::from(error).into()
    }
}
