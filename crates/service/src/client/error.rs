//! What can go wrong with a client.

use std::{io, net::SocketAddr};

use thiserror::Error;

/// Why a client can't go on.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No socket to send from.
    #[error("opening a socket to {server}: {cause}; {}", socket_remedy(cause))]
    Socket {
        /// The server's address.
        server: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// A packet can't be sent, and neither will the next.
    #[error("sending {len} bytes to {server}: {cause}; {}", send_remedy(cause))]
    Send {
        /// Payload bytes of the packet.
        len: usize,
        /// The server's address.
        server: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
    /// Keys for the GETs of a load could not be made ready.
    #[error(
        "preparing {keys} keys for GETs on {server}: {missing} keys were not confirmed after {attempts} attempts; check that a bag server serves there, with that many keys free (--capacity), or ask for no GETs"
    )]
    Unprepared {
        /// The server's address.
        server: SocketAddr,
        /// Keys that were not confirmed.
        missing: usize,
        /// Keys wanted.
        keys: usize,
        /// How often each was tried.
        attempts: u32,
    },
    /// A thread can't run where it is to run.
    #[error(
        "confining a sending thread to {}: {cause}; name CPUs that this process may use (taskset -p shows them)",
        cpu.map_or("a CPU".to_owned(), |cpu| format!("CPU {cpu}"))
    )]
    Pin {
        /// The CPU; nothing where the kernel doesn't say which there are.
        cpu: Option<usize>,
        /// What the kernel said.
        cause: nix::errno::Errno,
    },
    /// Waiting for a reply failed.
    #[error("waiting for a reply from {server}: {cause}")]
    Receive {
        /// The server's address.
        server: SocketAddr,
        /// What the kernel said.
        cause: io::Error,
    },
}

fn socket_remedy(cause: &io::Error) -> &'static str {
    match cause.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            "use fewer sockets, or raise the limit of open files (`ulimit -n`)"
        }
        Some(libc::EACCES) => {
            "is it a broadcast address, or forbidden by a firewall? Name one server's address"
        }
        _ => "check that this machine has a route to that address",
    }
}

fn send_remedy(cause: &io::Error) -> &'static str {
    match cause.raw_os_error() {
        Some(libc::EMSGSIZE) => "the path takes no datagram of that length: choose a smaller one",
        _ => "check the server's address and the route to it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: i32, expected: &str) {
        let (server, cause) = (([127, 0, 0, 1], 9).into(), io::Error::from_raw_os_error(errno));
        let said = ClientError::Socket { server, cause }.to_string();
        assert!(said.starts_with("opening a socket to 127.0.0.1:9: ") && said.contains(expected), "{said}");
    }

    #[test]
    fn what_to_do_about_a_socket_goes_by_what_the_kernel_said() {
        check(libc::EMFILE, "ulimit -n");
        check(libc::EACCES, "a broadcast address");
        check(libc::ENETUNREACH, "has a route");
    }
}
