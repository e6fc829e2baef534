//! The two ways in which datagrams come in and replies go out.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};

use weir_wire::MAX_REPLY_LEN;

use crate::{
    ReplyCounts,
    sys::{ReceiveBatch, ReplyBatch, Wait},
};

/// Reads datagrams some at a time, and replies to them.
pub(super) trait DatagramIo {
    /// Waits for datagrams, and says how many came: 0 or an error when the socket was shut down.
    fn receive(&mut self) -> io::Result<usize>;

    /// Datagram `i` of the last read: its first bytes, enough to tell what it is, and its true length.
    fn datagram(&self, i: usize) -> (&[u8], usize);

    /// Who sent datagram `i`.
    fn source(&self, i: usize) -> SocketAddr;

    /// Replies `count` to datagram `i`, by the next [`Self::flush`] at the latest.
    fn reply(&mut self, i: usize, count: i64);

    /// Sends the replies that still wait, and counts those since the last flush.
    fn flush(&mut self) -> ReplyCounts;
}

/// Many datagrams a call.
pub(super) struct BatchIo<'a> {
    socket: &'a UdpSocket,
    requests: ReceiveBatch,
    replies: ReplyBatch,
}

impl<'a> BatchIo<'a> {
    pub(super) fn new(socket: &'a UdpSocket) -> Self {
        Self { socket, requests: ReceiveBatch::new(), replies: ReplyBatch::new() }
    }
}

impl DatagramIo for BatchIo<'_> {
    fn receive(&mut self) -> io::Result<usize> {
        self.requests.receive(self.socket, Wait::ForOne)
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
}

/// What stands for a source that is neither IPv4 nor IPv6: no loopback address, so no STOP of its is obeyed.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

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
        (self.len, self.source) = self.socket.recv_from(&mut self.buffer)?;
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
}
