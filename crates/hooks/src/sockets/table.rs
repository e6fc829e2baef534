//! The kernel's table of UDP sockets (sock_diag(7)), of the network namespace that the calling thread is in.

use std::{io, net::SocketAddr};

use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use rtnetlink::{packet_core::Nla as _, sys::protocols::NETLINK_SOCK_DIAG};

use super::BoundSocket;
use crate::{HookError, netlink};

/// INET_DIAG_CGROUP_ID, include/uapi/linux/inet_diag.h.
const CGROUP_ID: u16 = 21;

impl BoundSocket {
    /// Those that are bound to a port, of IPv4 and of IPv6.
    ///
    /// # Errors
    /// What the kernel says; it may lack the table.
    pub fn on_port(port: u16) -> Result<Vec<Self>, HookError> {
        let read = || -> io::Result<_> {
            let socket = netlink::open(NETLINK_SOCK_DIAG)?;
            let mut found = Vec::new();
            for (family, socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
                let question = InetRequest {
                    family,
                    protocol: IPPROTO_UDP,
                    extensions: ExtensionFlags::empty(),
                    states: StateFlags::all(),
                    socket_id: SocketId { source_port: port, ..socket_id },
                };
                found.extend(netlink::dump(&socket, SockDiagMessage::InetRequest(question))?);
            }
            Ok(found)
        };
        let found = read().map_err(|error| {
            let remedy = match error.raw_os_error() {
                Some(libc::ENOENT) => "; the kernel has it by CONFIG_INET_UDP_DIAG, as its module udp_diag",
                _ => "",
            };
            let reason = format!("asking for the kernel's table of sockets (sock_diag): {error}{remedy}");
            HookError::ForeignSocket { what: format!("sockets on UDP port {port}"), reason }
        })?;
        Ok(found.iter().filter_map(row).filter(|socket| socket.local.port() == port).collect())
    }
}

fn row(message: &SockDiagMessage) -> Option<BoundSocket> {
    let SockDiagMessage::InetResponse(response) = message else { return None };
    let InetResponse { header, nlas } = &**response;
    let id = &header.socket_id;
    let [low, high] = [0, 4].map(|at| {
        let word = id.cookie[at..].first_chunk().expect("a cookie has 8 bytes");
        u64::from(u32::from_ne_bytes(*word))
    });
    let group = nlas.iter().find_map(|attribute| match attribute {
        Nla::Other(other) if other.kind() == CGROUP_ID && other.value_len() == size_of::<u64>() => {
            let mut value = [0; size_of::<u64>()];
            other.emit_value(&mut value);
            Some(u64::from_ne_bytes(value))
        }
        _ => None,
    });
    let remote = SocketAddr::new(id.destination_address, id.destination_port);
    Some(BoundSocket {
        local: SocketAddr::new(id.source_address, id.source_port),
        remote: (remote.port() != 0).then_some(remote),
        inode: header.inode.into(),
        cookie: low | high << 32,
        group,
    })
}
