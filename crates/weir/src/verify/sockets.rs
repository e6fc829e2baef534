//! Programs that the kernel doesn't run on given bytes: a sender, a receiver on loopback, and what arrives.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};
use weir_filters::{Hook, Site, Verdict, corpus::Case};
use weir_hooks::{Attached, HookError};
use weir_service::socket_drops;
use weir_wire::udp;

use super::{Decided, Subject};

/// A program attached to a receiver.
///
/// A packet that arrives, whole, was accepted. One that was dropped leaves a trace too, so that nothing hangs on how
/// long a packet may take: the socket counts it, and at a shared port the sender is told ECONNREFUSED.
pub(super) struct Sockets {
    hook: Hook,
    receiver: UdpSocket,
    /// Connected, so that it learns of refusals.
    sender: UdpSocket,
    _attached: Attached,
    buffer: Vec<u8>,
    dropped: u64,
}

/// Longest time that a packet on loopback may go without a trace; softirq handles it within microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest payload that is sent: what one loopback packet holds.
const MAX_PAYLOAD: usize = 16_384;

impl Sockets {
    /// A receiver on the site's IP version's loopback address, with the program that `attach` puts there.
    ///
    /// # Errors
    /// A socket can't be made, or the program not attached.
    pub(super) fn new(
        site: &Site,
        attach: impl FnOnce(&UdpSocket) -> Result<Attached, HookError>,
    ) -> anyhow::Result<Self> {
        let hook = site.hook;
        let loopback = match site.endpoint.address {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let any_port = SocketAddr::new(loopback, 0);
        let socket = Socket::new(Domain::for_address(any_port), Type::DGRAM, None)
            .context("making a socket to receive on")?;
        let receiver = UdpSocket::from(socket);
        if hook == Hook::Reuseport {
            setsockopt(&receiver, sockopt::ReusePort, &true).context("sharing the receiver's port")?;
        }
        let attached = attach(&receiver)?;
        let receiver = Socket::from(receiver);
        receiver.bind(&any_port.into()).context("binding the receiver to loopback")?;
        let receiver = UdpSocket::from(receiver);
        receiver.set_nonblocking(true)?;
        let sender = UdpSocket::bind(any_port).context("binding the sender to loopback")?;
        sender.connect(receiver.local_addr()?)?;
        let dropped = socket_drops(&receiver)?;
        let buffer = vec![0; MAX_PAYLOAD + 1];
        Ok(Self { hook, receiver, sender, _attached: attached, buffer, dropped })
    }

    fn verdict(&mut self, payload: &[u8]) -> anyhow::Result<Verdict> {
        self.sender.send(payload).context("sending to loopback")?;
        let sent = Instant::now();
        loop {
            if let Some(len) = self.received()? {
                ensure!(
                    self.buffer[..len] == *payload,
                    "a packet of {} bytes arrived changed",
                    payload.len()
                );
                return Ok(Verdict::Accept);
            }
            if self.is_dropped()? {
                return Ok(Verdict::Drop);
            }
            if sent.elapsed() > PATIENCE {
                bail!("a packet on loopback neither arrived nor was dropped for {PATIENCE:?}");
            }
            std::thread::yield_now();
        }
    }

    fn received(&mut self) -> io::Result<Option<usize>> {
        match self.receiver.recv(&mut self.buffer) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_dropped(&mut self) -> io::Result<bool> {
        if self.hook == Hook::Reuseport {
            let refused = self.sender.take_error()?;
            return Ok(refused.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused));
        }
        let dropped = socket_drops(&self.receiver)?;
        Ok(std::mem::replace(&mut self.dropped, dropped) != dropped)
    }
}

impl Subject for Sockets {
    fn decide(&mut self, cases: &[Case], decided: &mut Vec<Decided>) -> anyhow::Result<()> {
        decided.clear();
        for case in cases {
            decided.push(match case.sendable() {
                Some(payload) if payload.len() <= MAX_PAYLOAD => Decided::Verdict(self.verdict(payload)?),
                _ => Decided::NotRunnable,
            });
        }
        Ok(())
    }
}

/// The payload of a packet that a socket can send: one datagram, whose length field is right.
pub(super) trait Sendable {
    /// Nothing where none can.
    fn sendable(&self) -> Option<&[u8]>;
}

impl Sendable for Case {
    fn sendable(&self) -> Option<&[u8]> {
        let length =
            self.seen.get(udp::LENGTH_OFFSET..)?.first_chunk().map(|field| u16::from_be_bytes(*field))?;
        let is_whole = usize::from(length) == self.seen.len() && self.segments <= 1;
        is_whole.then(|| self.seen.get(udp::PAYLOAD_OFFSET..))?
    }
}
