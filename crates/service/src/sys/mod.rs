//! The system calls that std has no name for: many datagrams a call, and what a socket says of itself.
//!
//! The unsafe code of this crate is here. It is libc rather than nix because nix's `MultiHeaders` rewrites every
//! header before each call, used or not, and leaves `msg_namelen` as the last call left it.

mod receive;
mod send;
mod socket;

pub(crate) use receive::{RECEIVE_BATCH, ReceiveBatch, Wait};
pub(crate) use send::{ReplyBatch, send_copies};
pub use socket::socket_drops;
pub(crate) use socket::{SocketMemory, socket_memory};

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

/// A peer's address as the kernel writes it. A `sockaddr_in` fits into it too, which keeps a batch's addresses
/// within fewer cache lines than `sockaddr_storage` would.
#[derive(Clone, Copy)]
pub(crate) struct RawAddr {
    bytes: libc::sockaddr_in6,
    len: libc::socklen_t,
}

impl RawAddr {
    /// The address, or nothing for a family that is neither IPv4 nor IPv6.
    pub(crate) fn to_socket_addr(self) -> Option<SocketAddr> {
        match i32::from(self.bytes.sin6_family) {
            libc::AF_INET => {
                // SAFETY: sockaddr_in is plain data, smaller than sockaddr_in6 and no more strictly aligned.
                let v4 = unsafe { std::ptr::from_ref(&self.bytes).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(self.bytes.sin6_addr.s6_addr);
                let port = u16::from_be(self.bytes.sin6_port);
                Some(SocketAddrV6::new(ip, port, self.bytes.sin6_flowinfo, self.bytes.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// The count that a system call returned, or the error that it left in `errno`.
fn count_or_errno(result: libc::c_int) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
