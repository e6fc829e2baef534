//! The two ways in which datagrams come in and replies go out.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
};

use nix::sys::socket::{SockaddrStorage, recvfrom};
use weir_wire::MAX_REPLY_LEN;

use super::nap::Moderated;
use crate::{
    Moderation, Naps, ReplyCounts,
    sys::{ReceiveBatch, ReplyBatch, Wait},
};

/// Reads datagrams some at a time, and replies to them.
pub(super) trait DatagramIo {
    /// Waits for datagrams, and says how many came: 0 when the socket was shut down for reading and holds none.
    fn receive(&mut self) -> io::Result<usize>;

    /// Datagram `i` of the last read: its first bytes, enough to tell what it is, and its true length.
    fn datagram(&self, i: usize) -> (&[u8], usize);

    /// Who sent datagram `i`.
    fn source(&self, i: usize) -> SocketAddr;

    /// Replies `count` to datagram `i`, by the next [`Self::flush`] at the latest.
    fn reply(&mut self, i: usize, count: i64);

    /// Sends the replies that still wait, and counts those since the last flush.
    fn flush(&mut self) -> ReplyCounts;

    /// Naps taken before reads.
    fn naps(&self) -> Naps;
}

/// Many datagrams a call, moderated or not.
pub(super) struct BatchIo<'a> {
    socket: &'a UdpSocket,
    requests: ReceiveBatch,
    replies: ReplyBatch,
    moderated: Option<Moderated>,
}

impl<'a> BatchIo<'a> {
    /// Reads `socket` on this thread.
    pub(super) fn new(socket: &'a UdpSocket, moderation: Moderation) -> io::Result<Self> {
        let moderated = moderation.longest().map(|longest| Moderated::new(socket, longest)).transpose()?;
        Ok(Self { socket, requests: ReceiveBatch::new(), replies: ReplyBatch::new(), moderated })
    }
}

impl DatagramIo for BatchIo<'_> {
    fn receive(&mut self) -> io::Result<usize> {
        if let Some(moderated) = &mut self.moderated {
            moderated.before_read(self.socket)?;
        }
        let received = self.requests.receive(self.socket, Wait::ForOne)?;
        if let Some(moderated) = &mut self.moderated {
            moderated.after_read(&self.requests);
        }
        Ok(received)
    }

    fn datagram(&self, i: usize) -> (&[u8], usize) {
        self.requests.datagram(i)
    }

    fn source(&self, i: usize) -> SocketAddr {
        self.requests.source(i).to_socket_addr().unwrap_or(NOBODY)
    }

    fn reply(&mut self, i: usize, count: i64) {
        self.replies.push(self.requests.source(i), count);
    }

    fn flush(&mut self) -> ReplyCounts {
        self.replies.flush(self.socket)
    }

    fn naps(&self) -> Naps {
        self.moderated.as_ref().map(Moderated::naps).unwrap_or_default()
    }
}

/// What stands for a source that is neither IPv4 nor IPv6: no loopback address, so no STOP of its is obeyed.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn to_socket_addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = || storage.as_sockaddr_in().map(|addr| SocketAddrV4::from(*addr).into());
    let v6 = || storage.as_sockaddr_in6().map(|addr| SocketAddrV6::from(*addr).into());
    v4().or_else(v6)
}

/// One datagram a call, as a first version of a server would do it.
pub(super) struct SimpleIo<'a> {
    socket: &'a UdpSocket,
    buffer: Box<[u8]>,
    len: usize,
    source: SocketAddr,
    replies: ReplyCounts,
}

/// Room for every datagram that UDP can carry, bytes.
const BUFFER_LEN: usize = 1 << 16;

impl<'a> SimpleIo<'a> {
    pub(super) fn new(socket: &'a UdpSocket) -> Self {
        Self {
            socket,
            buffer: vec![0; BUFFER_LEN].into_boxed_slice(),
            len: 0,
            source: NOBODY,
            replies: ReplyCounts::default(),
        }
    }
}

impl DatagramIo for SimpleIo<'_> {
    fn receive(&mut self) -> io::Result<usize> {
        // std's recv_from panics when a read that a shutdown ends comes without an address.
        let (len, source) = recvfrom::<SockaddrStorage>(self.socket.as_raw_fd(), &mut self.buffer)?;
        let Some(source) = source else { return Ok(0) };
        self.len = len;
        self.source = to_socket_addr(&source).unwrap_or(NOBODY);
        Ok(1)
    }

    fn datagram(&self, _: usize) -> (&[u8], usize) {
        (&self.buffer[..self.len], self.len)
    }

    fn source(&self, _: usize) -> SocketAddr {
        self.source
    }

    fn reply(&mut self, _: usize, count: i64) {
        let mut text = [0; MAX_REPLY_LEN];
        let mut rest = &mut text[..];
        write!(rest, "{count}").expect("MAX_REPLY_LEN holds every i64");
        let len = MAX_REPLY_LEN - rest.len();
        let sent = loop {
            match self.socket.send_to(&text[..len], self.source) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        match sent {
            Ok(bytes) => {
                self.replies.sent += 1;
                self.replies.bytes += bytes as u64;
            }
            Err(_) => self.replies.failed += 1,
        }
    }

    fn flush(&mut self) -> ReplyCounts {
        std::mem::take(&mut self.replies)
    }

    fn naps(&self) -> Naps {
        Naps::default()
    }
}
