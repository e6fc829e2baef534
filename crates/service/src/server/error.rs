//! What can go wrong with a server.

use std::{io, net::SocketAddr};

use thiserror::Error;

/// Why a server can't start or go on.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address can't be listened on.
    #[error("listening on {addr}: {cause}; {}", bind_remedy(addr, cause))]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The receive buffer can't be as large as asked for.
    #[error(
        "listening on {addr}: a receive buffer of {bytes} bytes: {cause}; needs CAP_NET_ADMIN or root, or a \
         net.core.rmem_max of that size (sysctl)"
    )]
    Buffer {
        /// The address asked for.
        addr: SocketAddr,
        /// The size asked for.
        bytes: usize,
        /// What the kernel said.
        cause: io::Error,
    },
    /// A worker's thread can't be made.
    #[error("serving on {addr}: making the thread of worker {number}: {cause}; serve with fewer (--workers)")]
    Worker {
        /// The worker.
        number: usize,
        /// Where the server listens.
        addr: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The server's socket can't be read, or doesn't take an option.
    #[error("serving on {addr}: {tried}: {cause}")]
    Socket {
        /// What was tried.
        tried: &'static str,
        /// Where the server listens.
        addr: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
}

fn bind_remedy(addr: &SocketAddr, cause: &io::Error) -> String {
    let port = addr.port();
    match cause.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is taken: end what listens there (`ss -ulpn 'sport = :{port}'` names it) or listen on another port"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("port {port} needs CAP_NET_BIND_SERVICE or root, or listen on a port from 1024 on")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("no interface of this machine has the address {}; `ip address` lists them", addr.ip())
        }
        _ => "check the address and that this machine speaks its family (IPv4 or IPv6)".to_owned(),
    }
}
