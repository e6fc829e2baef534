//! How fast this machine can send at all: what a rate must stay below for a loss to be the server's.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    num::NonZeroU32,
    time::Duration,
};

use super::{ClientConfig, ClientError, ClientSummary, Load, Pacing, PacketsPerSecond, Step};

/// Sends `load` for `time` as fast as the kernel takes it, in the way that a load at a rate goes: the same burst, sockets,
/// threads and CPUs, with the same bookkeeping. [`ClientSummary::achieved_rate`] is the ceiling.
///
/// What it says depends on who receives. Over loopback the receive path, a socket filter included, runs on the sender's
/// CPU: towards a [`Sink`] it is the most that this sender can offer anybody; towards a server it is lower by the filter,
/// by waking the server, and by the CPU that the server takes from the sender. A trial near the lower one is limited by
/// the generator. The packets are real: they change the counts of the server.
///
/// # Errors
/// As [`super::run`]. A [`Sink`] answers no GET, so that a load with GETs fails there.
pub fn ceiling(load: &Load, config: &ClientConfig, time: Duration) -> Result<ClientSummary, ClientError> {
    let burst = config.pacing.map_or(NonZeroU32::MIN, |pacing| pacing.burst);
    let pacing = Some(Pacing { burst, ..Pacing::new(PacketsPerSecond::MAX) });
    let load = Load { packets: u64::MAX, duration: Some(time), ..*load };
    super::run("ceiling", &[Step::Load(load)], &ClientConfig { pacing, ..config.clone() }, &mut |_| {})
}

/// A socket on this machine that nobody reads: once its buffer is full, the kernel drops what comes.
#[derive(Debug)]
pub struct Sink {
    _socket: UdpSocket,
    addr: SocketAddr,
}

impl Sink {
    /// A sink on the loopback interface, of the address family of `like`.
    ///
    /// # Errors
    /// [`ClientError::Socket`] where the loopback interface is down.
    pub fn open(like: SocketAddr) -> Result<Self, ClientError> {
        let server: SocketAddr = match like {
            SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
        };
        let open = || {
            let socket = UdpSocket::bind(server)?;
            let addr = socket.local_addr()?;
            Ok(Self { _socket: socket, addr })
        };
        open().map_err(|cause| ClientError::Socket { server, cause })
    }

    /// Where it takes packets.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }
}
