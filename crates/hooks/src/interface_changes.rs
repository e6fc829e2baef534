//! Being told when interfaces come and go.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rtnetlink::sys::{Socket, protocols::NETLINK_ROUTE};

use crate::netlink;

/// Says when an interface of the network namespace that it was opened in comes, goes or changes (`RTNLGRP_LINK`,
/// rtnetlink(7)): its descriptor becomes readable.
pub struct InterfaceChanges(Socket);

/// RTNLGRP_LINK, include/uapi/linux/rtnetlink.h.
const LINKS: u32 = 1;

impl InterfaceChanges {
    /// From now on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        let socket = netlink::open(NETLINK_ROUTE)?;
        socket.add_membership(LINKS)?;
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    /// Forgets what was said so far. What was lost, because nobody listened for too long, is one of the things that were
    /// said.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn forget(&self) -> io::Result<()> {
        loop {
            match self.0.recv_from_full() {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for InterfaceChanges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
