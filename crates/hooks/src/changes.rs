//! Being told by the kernel what comes and goes.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rtnetlink::sys::{
    Socket,
    protocols::{NETLINK_ROUTE, NETLINK_SOCK_DIAG},
};
use weir_filters::cbpf::ClassicInsn;

use crate::{classic::ClassicProgram, netlink};

/// Says when something of the network namespace that it was opened in has changed: its descriptor becomes readable.
pub struct Changes(Socket);

/// RTNLGRP_LINK, include/uapi/linux/rtnetlink.h.
const LINKS: u32 = 1;
/// SKNLGRP_INET_UDP_DESTROY and SKNLGRP_INET6_UDP_DESTROY, include/uapi/linux/sock_diag.h.
const CLOSED_SOCKETS: [u32; 2] = [2, 4];

impl Changes {
    /// Interfaces that come, go or change from now on (`RTNLGRP_LINK`, rtnetlink(7)).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_interfaces() -> io::Result<Self> {
        Self::listen(netlink::open(NETLINK_ROUTE)?, &[LINKS])
    }

    /// UDP sockets on a port that are closed from now on, whoever closes them (sock_diag(7), Linux 4.3). Nothing is said of
    /// those that are opened.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_closed_sockets(port: u16) -> io::Result<Self> {
        let socket = netlink::open(NETLINK_SOCK_DIAG)?;
        // Sockets that ask others are closed by the thousand: what isn't about the port wakes nobody.
        let (_, done) = ClassicProgram::new(&is_about(port)).fill(socket.as_fd());
        done?;
        Self::listen(socket, &CLOSED_SOCKETS)
    }

    fn listen(socket: Socket, groups: &[u32]) -> io::Result<Self> {
        groups.iter().try_for_each(|group| socket.add_membership(*group))?;
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    /// Forgets what was said so far, and whether that was anything. What was lost, because nobody listened for too long, is one
    /// of the things that were said.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn forget(&self) -> io::Result<bool> {
        let mut was_said = false;
        loop {
            match self.0.recv_from_full() {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(was_said),
                Err(error) => return Err(error),
            }
            was_said = true;
        }
    }
}

/// Passes messages of sock_diag about that local port: it is the u16 that follows 16 bytes of `nlmsghdr` and 4 of
/// `inet_diag_msg`.
fn is_about(port: u16) -> [ClassicInsn; 4] {
    let insn = |code: u32, jt, jf, k| ClassicInsn { code: code as u16, jt, jf, k };
    [
        insn(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, 0, 0, 20),
        insn(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, port.into()),
        insn(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        insn(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_socket_that_is_closed_is_said_and_those_of_other_ports_are_not() {
        let [one, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
        let port = other.local_addr().expect("it is bound").port();
        let changes = Changes::of_closed_sockets(port).expect("the kernel has the table");
        drop(one);
        let opened = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        drop(other);
        let mut said = [nix::poll::PollFd::new(changes.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut said, 60_000u16), Ok(1), "it is said");
        let (message, _) = changes.0.recv_from_full().expect("there is one");
        assert_eq!(message[20..22], port.to_be_bytes());
        drop(opened);
        assert!(!changes.forget().expect("it listens"), "nothing else is");
    }
}
