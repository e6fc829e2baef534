//! Sending runs of equal packets, in the fastest way that the path takes.

use std::{
    io::{self, IoSlice},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{ControlMessage, MsgFlags, sendmsg},
};

use super::{ClientError, workload::MAX_PAYLOAD_LEN};
use crate::{Io, sys};

/// A connected socket, and how packets leave by it.
pub(super) struct Sender {
    socket: UdpSocket,
    server: SocketAddr,
    way: Way,
    /// Whether a send of several segments went out by GSO.
    pub(super) segmented: bool,
    /// Whether GSO was refused, so that the rest went by `sendmmsg`.
    pub(super) fell_back: bool,
    /// Packets that the kernel refused, the last retry included.
    pub(super) refused: u64,
    /// ICMP errors that say that the port is closed.
    pub(super) unreachable: u64,
}

/// How runs of equal packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// One send a run of up to [`MAX_SEGMENTS`] (`UDP_SEGMENT`, Linux 4.18).
    Gso,
    /// One `sendmmsg` a run.
    Copies,
    /// One send a packet.
    Single,
}

/// Segments of one GSO send that every kernel with `UDP_SEGMENT` takes (include/linux/udp.h, UDP_MAX_SEGMENTS).
const MAX_SEGMENTS: usize = 64;

/// How often a send is tried again when the kernel is short of memory or a buffer is full.
const RETRIES: u32 = 20;

/// How long such a send waits before it is tried again: a full queue of small packets has drained by then.
const RETRY_AFTER: Duration = Duration::from_micros(100);

/// Equal packets, laid out once for all sends of a run.
pub(super) struct Run {
    /// The payload, as often as one send takes it.
    copies: Vec<u8>,
    len: usize,
}

impl Run {
    /// A run of up to `count` times `payload`, which has at least one byte.
    pub(super) fn new(payload: &[u8], count: u64) -> Self {
        let fitting = (MAX_PAYLOAD_LEN / payload.len()).clamp(1, MAX_SEGMENTS);
        let copies = payload.repeat(fitting.min(usize::try_from(count).unwrap_or(usize::MAX)));
        Self { copies, len: payload.len() }
    }

    /// Payload bytes of one packet.
    pub(super) const fn payload_len(&self) -> usize {
        self.len
    }

    fn payload(&self) -> &[u8] {
        &self.copies[..self.len]
    }

    fn segments(&self, left: u64) -> usize {
        (self.copies.len() / self.len).min(usize::try_from(left).unwrap_or(usize::MAX))
    }
}

impl Sender {
    /// A sender to `server`; `paced` sends leave one by one.
    pub(super) fn new(server: SocketAddr, io: Io, paced: bool) -> Result<Self, ClientError> {
        Ok(Self {
            socket: connect(server)?,
            server,
            way: if io == Io::Batch && !paced { Way::Gso } else { Way::Single },
            segmented: false,
            fell_back: false,
            refused: 0,
            unreachable: 0,
        })
    }

    /// Leaves what may still arrive at the socket behind, and goes on with a fresh one.
    pub(super) fn reconnect(&mut self) -> Result<(), ClientError> {
        self.socket = connect(self.server)?;
        Ok(())
    }

    pub(super) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends some of the `left` packets of a run: as many as one system call takes.
    pub(super) fn send(&mut self, run: &Run, left: u64) -> Result<Sent, ClientError> {
        let mut retries = 0;
        loop {
            let error = match self.try_send(run, left) {
                Ok(packets) => return Ok(Sent { taken: packets as u64, refused: 0 }),
                Err(error) => error,
            };
            match Trouble::of(&error) {
                Trouble::Interrupted => {}
                // The error belongs to an earlier packet: this one has not been tried yet (udp(7)).
                Trouble::PortClosed if retries < RETRIES => {
                    retries += 1;
                    self.unreachable += 1;
                }
                Trouble::Busy if retries < RETRIES => {
                    retries += 1;
                    thread::sleep(RETRY_AFTER);
                }
                Trouble::PortClosed | Trouble::Busy | Trouble::Forbidden => {
                    let refused = self.packets_a_send(run, left) as u64;
                    self.refused += refused;
                    return Ok(Sent { taken: 0, refused });
                }
                Trouble::Lasting if self.way == Way::Gso && self.packets_a_send(run, left) > 1 => {
                    self.way = Way::Copies;
                    self.fell_back = true;
                }
                Trouble::Lasting => return Err(ClientError::send(run.len, self.server, error)),
            }
        }
    }

    fn try_send(&mut self, run: &Run, left: u64) -> io::Result<usize> {
        match self.way {
            Way::Gso if run.segments(left) > 1 => {
                let segments = run.segments(left);
                send_segmented(&self.socket, &run.copies[..segments * run.len], run.len)?;
                self.segmented = true;
                Ok(segments)
            }
            Way::Gso | Way::Copies if left > 1 => sys::send_copies(&self.socket, run.payload(), left),
            _ => self.socket.send(run.payload()).map(|_| 1),
        }
    }

    /// Packets that stand or fall with one send: `sendmmsg` reports an error for its first packet only.
    fn packets_a_send(&self, run: &Run, left: u64) -> usize {
        if self.way == Way::Gso { run.segments(left) } else { 1 }
    }
}

/// What became of the packets of one send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Packets that the kernel took.
    pub(super) taken: u64,
    /// Packets that it refused for good.
    pub(super) refused: u64,
}

/// What a send's error means for the packets to come.
enum Trouble {
    Interrupted,
    PortClosed,
    Busy,
    /// A packet filter on the way out said no.
    Forbidden,
    Lasting,
}

impl Trouble {
    fn of(error: &io::Error) -> Self {
        match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            Errno::EINTR => Self::Interrupted,
            Errno::ECONNREFUSED => Self::PortClosed,
            Errno::ENOBUFS | Errno::EAGAIN | Errno::ENOMEM => Self::Busy,
            Errno::EPERM | Errno::EACCES => Self::Forbidden,
            _ => Self::Lasting,
        }
    }
}

fn send_segmented(socket: &UdpSocket, bytes: &[u8], segment: usize) -> io::Result<()> {
    let segment = u16::try_from(segment).expect("several segments fit one datagram's length");
    let control = [ControlMessage::UdpGsoSegments(&segment)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), None)?;
    Ok(())
}

fn connect(server: SocketAddr) -> Result<UdpSocket, ClientError> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(any)
        .and_then(|socket| socket.connect(server).map(|()| socket))
        .map_err(|cause| ClientError::Socket { server, cause })
}
