//! Why a service isn't guarded.

use std::{io, net::IpAddr, path::PathBuf};

use thiserror::Error;
use weir_guard::meaning::{Listen, Service};
use weir_hooks::{HookError, Occupant};

/// Why a service isn't guarded.
#[derive(Debug, Error)]
pub enum GuardingError {
    /// The service isn't there yet, or not any more: it is waited for.
    #[error("nothing of it is there yet: {0}")]
    Absent(Absent),
    /// The kernel, or a socket, refuses.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// There is no such interface to attach to.
    #[error("attaching to {what}: {cause}; `ip address` lists interfaces, 'interfaces' names them")]
    Interface {
        /// Its name, or what was looked for.
        what: String,
        /// What came back.
        cause: io::Error,
    },
    /// The control group isn't to be found or opened.
    #[error("looking for {what}: {cause}; filter at socket or tc, or name the service's 'unit'")]
    Group {
        /// The group.
        what: String,
        /// What came back.
        cause: io::Error,
    },
    /// The network namespace isn't to be had.
    #[error(
        "entering the network namespace {}: {cause}; 'netns' is a name that `ip netns` lists or such a file, and entering it takes \
         CAP_SYS_ADMIN", path.display()
    )]
    Network {
        /// The namespace.
        path: PathBuf,
        /// What came back.
        cause: io::Error,
    },
    /// A socket takes packets for every address, and the guard is of one.
    #[error(
        "the socket on port {port} takes packets for every address, and a program there isn't told whether they are for {address}; \
         write listen = \"udp/{port}\", or filter at cgroup or tc"
    )]
    EveryAddress {
        /// The guard's.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// The thread that writes samples can't be started.
    #[error(
        "starting the thread that writes samples: {cause}; the process or its control group may have as many as it is let"
    )]
    Thread {
        /// What the kernel said.
        cause: io::Error,
    },
    /// One process's packets can't be told there.
    #[error(
        "'pid' is for the hooks socket and cgroup; at {hook} whatever goes to the port is judged: leave one of them out"
    )]
    Process {
        /// The hook.
        hook: weir_filters::Hook,
    },
}

/// What isn't there yet.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Absent {
    /// A socket.
    #[error("no socket of {} on {}{}", who(.pid, .unit), .listen.port, of(.listen))]
    Socket {
        /// What it is to listen to.
        listen: Listen,
        /// Whose it must be.
        pid: Option<u32>,
        /// Whose it must be.
        unit: Option<String>,
    },
    /// A unit's control group.
    #[error("no control group is called {0}, as that of the running unit would be")]
    Unit(String),
    /// A control group that is named.
    #[error("there is no control group {}", .0.display())]
    Group(PathBuf),
    /// An interface: what was attached to is gone.
    #[error("no interface is there: {0}")]
    Interfaces(String),
}

impl Absent {
    pub(super) fn socket(service: &Service) -> Self {
        Self::Socket { listen: service.listen, pid: service.at.pid, unit: service.at.unit.clone() }
    }
}

fn who(pid: &Option<u32>, unit: &Option<String>) -> String {
    match (pid, unit) {
        (Some(pid), _) => format!("process {pid}"),
        (None, Some(unit)) => format!("the unit {unit}"),
        (None, None) => "anybody".to_owned(),
    }
}

fn of(listen: &Listen) -> String {
    listen.address.map(|address| format!(" of {address}")).unwrap_or_default()
}

impl GuardingError {
    /// Whether what was asked for can't be, rather than that it failed.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Process { .. })
    }

    /// What is already where the program was to be.
    pub(super) fn occupant(&self) -> Option<Occupant> {
        match self {
            Self::Hook(HookError::Occupied { occupant, .. }) => Some(*occupant),
            _ => None,
        }
    }
}
