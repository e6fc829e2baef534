//! Sockets of other processes: found by their port, lent by whoever has them, and filtered until told otherwise.

mod filtering;
mod holders;
mod table;

use std::{fmt, net::SocketAddr};

use thiserror::Error;

pub(crate) use filtering::refuse_filtered;
pub use holders::{SocketHolder, SocketHolders, owner_of_udp_port, socket_of};

/// A UDP socket of this network namespace, whoever's, as the kernel's table had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundSocket {
    /// What it is bound to.
    pub local: SocketAddr,
    /// What it is connected to: packets of others don't come to it.
    pub remote: Option<SocketAddr>,
    /// The number that /proc/PID/fd shows it by.
    inode: u64,
    /// What no other socket of this boot has (`SO_COOKIE`).
    pub cookie: u64,
    /// The control group that it belongs to, by the inode of its folder; nothing before Linux 5.8.
    pub group: Option<u64>,
}

impl fmt::Display for BoundSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the socket on udp/{}", self.local)?;
        self.remote.map_or(Ok(()), |remote| write!(f, ", connected to {remote}"))
    }
}

/// Why a program isn't put at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SocketRefusal {
    /// It would lose a filter that somebody put there.
    #[error(
        "it has a filter already, {0}, which would be lost; have its owner detach that, start the service again, or filter elsewhere"
    )]
    HasFilter(&'static str),
    /// Another guard stands there.
    #[error(
        "program {program} of process {process}, another `weir guard run`, guards it already; end that first"
    )]
    Guarded {
        /// The program, by the kernel's id.
        program: u32,
        /// The process that has it.
        process: u32,
    },
    /// Packets go to the kernel before a filter sees them (`UDP_ENCAP`).
    #[error(
        "the kernel itself takes what comes to it (encapsulation, as L2TP and IPsec have it) before any filter; filter at tc or xdp"
    )]
    Encapsulates,
    /// It is given several datagrams in one packet (`UDP_GRO`), and a filter there isn't told so.
    #[error(
        "its service has UDP_GRO on, so that several datagrams come as one packet, and a program there would take them for the \
         first; filter at tc"
    )]
    Coalesces,
    /// No process has it.
    #[error(
        "no process that is shown here has it: the kernel itself serves it (as WireGuard), before any filter, or one of another \
         pid namespace does; filter at tc or xdp"
    )]
    HasNoProcess,
}
