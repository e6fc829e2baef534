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
    sys::socket::{
        ControlMessage, MsgFlags, send, sendmsg, setsockopt,
        sockopt::{Ipv4RecvErr, Ipv6RecvErr},
    },
};

use super::{ClientError, Payload, workload::MAX_PAYLOAD_LEN};
use crate::{Io, sys};

/// A connected socket, and how packets leave by it.
pub(super) struct Sender {
    pub(super) socket: UdpSocket,
    server: SocketAddr,
    hide_refusals: bool,
    way: SendWay,
    /// Whether a send of several segments went out by GSO.
    pub(super) segmented: bool,
    /// Whether GSO was refused, so that the rest went by `sendmmsg`.
    pub(super) fell_back: bool,
    /// ICMP errors that say that the port is closed.
    pub(super) unreachable: u64,
}

/// What a sender does when the kernel refuses a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zeal {
    /// Waits and tries again where that may help, and gives up the run where nothing will.
    Insist,
    /// Counts it and goes on: an open loop waits for nobody, a full send buffer included (`MSG_DONTWAIT`).
    Once,
}

/// How runs of equal packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendWay {
    /// One send a run of up to [`MAX_SEGMENTS`] (`UDP_SEGMENT`, Linux 4.18).
    Gso,
    /// One `sendmmsg` a run.
    Copies,
    /// One send a packet.
    Single,
}

/// Segments of one GSO send that every kernel with `UDP_SEGMENT` takes (include/linux/udp.h, UDP_MAX_SEGMENTS).
pub(super) const MAX_SEGMENTS: usize = 64;

/// How often a send is tried again when the kernel is short of memory or a buffer is full.
const RETRIES: u32 = 20;

/// How long such a send waits before it is tried again: a full queue of small packets has drained by then.
const RETRY_AFTER: Duration = Duration::from_micros(100);

/// Equal packets, laid out once for all sends of a run.
pub(super) struct Run {
    /// The payload, as often as one send takes it.
    copies: Vec<u8>,
    /// Payload bytes of one packet.
    pub(super) len: usize,
}

impl Run {
    /// A run of up to `count` times `payload`, which has at least one byte.
    pub(super) fn new(payload: &[u8], count: u64) -> Self {
        let fitting = (MAX_PAYLOAD_LEN / payload.len()).clamp(1, MAX_SEGMENTS);
        let copies = payload.repeat(fitting.min(usize::try_from(count).unwrap_or(usize::MAX)));
        Self { copies, len: payload.len() }
    }

    fn payload(&self) -> &[u8] {
        &self.copies[..self.len]
    }

    fn segments(&self, left: u64) -> usize {
        (self.copies.len() / self.len).min(usize::try_from(left).unwrap_or(usize::MAX))
    }
}

/// The equal packets of a workload, laid out once.
pub(super) struct PacketRuns {
    pub(super) valid: Run,
    pub(super) invalid: Run,
}

impl PacketRuns {
    /// Long enough for sends of `most` packets of a kind; an invalid packet is `invalid`.
    pub(super) fn new(invalid: Payload, most: u64) -> Self {
        Self { valid: Run::new(&Payload::VALID.bytes(), most), invalid: Run::new(&invalid.bytes(), most) }
    }
}

impl Sender {
    /// A sender to `server`, one packet a send or as many as a send takes.
    pub(super) fn new(server: SocketAddr, io: Io, hide_refusals: bool) -> Result<Self, ClientError> {
        Ok(Self {
            socket: connect(server, hide_refusals)?,
            server,
            hide_refusals,
            way: if io == Io::Batch { SendWay::Gso } else { SendWay::Single },
            segmented: false,
            fell_back: false,
            unreachable: 0,
        })
    }

    /// Leaves what may still arrive at the socket behind, and goes on with a fresh one.
    pub(super) fn reconnect(&mut self) -> Result<(), ClientError> {
        self.socket = connect(self.server, self.hide_refusals)?;
        Ok(())
    }

    /// Sends some of the `left` packets of a run: as many as one system call takes. Fails only when it insists.
    pub(super) fn send(&mut self, run: &Run, left: u64, zeal: Zeal) -> Result<Sent, ClientError> {
        let insist = zeal == Zeal::Insist;
        let mut retries = 0;
        loop {
            let error = match self.try_send(run, left, zeal) {
                Ok(packets) => return Ok(Sent::Taken(packets as u64)),
                Err(error) => error,
            };
            let trouble = Trouble::of(&error);
            // The error belongs to an earlier packet: this one has not been tried yet (udp(7)).
            self.unreachable += u64::from(matches!(trouble, Trouble::PortClosed));
            match trouble {
                Trouble::Interrupted => {}
                Trouble::PortClosed if insist && retries < RETRIES => retries += 1,
                Trouble::Busy if insist && retries < RETRIES => {
                    retries += 1;
                    thread::sleep(RETRY_AFTER);
                }
                Trouble::Lasting if self.way == SendWay::Gso && self.packets_a_send(run, left) > 1 => {
                    self.way = SendWay::Copies;
                    self.fell_back = true;
                }
                Trouble::Lasting if insist => {
                    return Err(ClientError::Send { len: run.len, server: self.server, cause: error });
                }
                _ => return Ok(self.refused(run, left, &error)),
            }
        }
    }

    fn refused(&self, run: &Run, left: u64, error: &io::Error) -> Sent {
        Sent::Refused {
            packets: self.packets_a_send(run, left) as u64,
            errno: error.raw_os_error().unwrap_or(0),
        }
    }

    fn try_send(&mut self, run: &Run, left: u64, zeal: Zeal) -> io::Result<usize> {
        let flags = match zeal {
            Zeal::Insist => MsgFlags::empty(),
            Zeal::Once => MsgFlags::MSG_DONTWAIT,
        };
        match self.way {
            SendWay::Gso if run.segments(left) > 1 => {
                let segments = run.segments(left);
                send_segmented(&self.socket, &run.copies[..segments * run.len], run.len, flags)?;
                self.segmented = true;
                Ok(segments)
            }
            SendWay::Gso | SendWay::Copies if left > 1 => {
                sys::send_copies(&self.socket, run.payload(), left, flags.bits())
            }
            _ => {
                send(self.socket.as_raw_fd(), run.payload(), flags)?;
                Ok(1)
            }
        }
    }

    /// Packets that stand or fall with one send: `sendmmsg` reports an error for its first packet only.
    fn packets_a_send(&self, run: &Run, left: u64) -> usize {
        if self.way == SendWay::Gso { run.segments(left) } else { 1 }
    }
}

/// What became of the packets of one send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The kernel took so many packets.
    Taken(u64),
    /// It refused so many for good, for the same reason.
    Refused {
        /// More than one where they were segments of a GSO send.
        packets: u64,
        /// The reason (errno(3)).
        errno: i32,
    },
}

impl Sent {
    /// Packets that are dealt with.
    pub(super) const fn packets(self) -> u64 {
        match self {
            Self::Taken(packets) | Self::Refused { packets, .. } => packets,
        }
    }
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

fn send_segmented(socket: &UdpSocket, bytes: &[u8], segment: usize, flags: MsgFlags) -> io::Result<()> {
    let segment = u16::try_from(segment).expect("several segments fit one datagram's length");
    let control = [ControlMessage::UdpGsoSegments(&segment)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, flags, None)?;
    Ok(())
}

fn connect(server: SocketAddr, hide_refusals: bool) -> Result<UdpSocket, ClientError> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let open = || {
        let socket = UdpSocket::bind(any)?;
        if !hide_refusals {
            report_every_refusal(&socket, server)?;
        }
        socket.connect(server)?;
        Ok(socket)
    };
    open().map_err(|cause| ClientError::Socket { server, cause })
}

/// Without this option the kernel says that it sent what its own queue had no room for (net/ipv4/udp.c, `udp_send_skb`:
/// ENOBUFS is kept back).
fn report_every_refusal(socket: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    match server {
        SocketAddr::V4(_) => setsockopt(socket, Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvErr, &true)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UDP GSO needs a checksum, so that a socket without one gets EINVAL for it (net/ipv4/udp.c, `udp_send_skb`).
    fn refuse_gso(socket: &UdpSocket) {
        let on: libc::c_int = 1;
        // SAFETY: the option's value is an int, and `on` is one that outlives the call.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NO_CHECK,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        assert_eq!(result, 0);
    }

    #[test]
    fn where_gso_is_refused_every_packet_goes_by_sendmmsg() {
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut sender = Sender::new(listener.local_addr().unwrap(), Io::Batch, false).unwrap();
        refuse_gso(&sender.socket);

        let run = Run::new(b"BAD", 150);
        let mut left = 150;
        while left > 0 {
            let Sent::Taken(packets) = sender.send(&run, left, Zeal::Insist).unwrap() else {
                panic!("refused at {left}")
            };
            left -= packets;
        }

        let mut buffer = [0; 64];
        for i in 0..150 {
            let len = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], b"BAD", "datagram {i}");
        }
        assert!(sender.fell_back && !sender.segmented);
        assert_eq!(sender.way, SendWay::Copies);
    }
}
