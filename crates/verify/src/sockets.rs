//! Programs that the kernel doesn't run on given bytes: a sender, a receiver on loopback, and what arrives.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};
use weir_filters::{Hook, Owner, Verdict, corpus::Case, u16_at};
use weir_hooks::{Attached, HookError, KernelFilter};
use weir_service::socket_drops;
use weir_wire::udp;

use crate::{Decided, Subject};

/// A program attached to a receiver.
///
/// A packet that arrives, whole, was accepted. One that was dropped leaves a trace too, so that nothing hangs on how
/// long a packet may take: the socket counts it, and at a shared port the sender is told ECONNREFUSED.
pub(super) struct Sockets {
    hook: Hook,
    receiver: UdpSocket,
    /// Connected, so that they learn of refusals; each from an address of its own, as far as loopback has several.
    senders: Vec<UdpSocket>,
    program: KernelFilter,
    _attached: Attached,
    buffer: Vec<u8>,
    dropped: u64,
}

/// Loopback's addresses to send from, the first one to receive at too.
const V4_SOURCES: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1)),
    IpAddr::V4(Ipv4Addr::new(127, 200, 0, 1)),
];
const V6_SOURCES: [IpAddr; 1] = [IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Longest time that a packet on loopback may go without a trace; softirq handles it within microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest payload that is sent: what one loopback packet holds.
const MAX_PAYLOAD: usize = 16_384;

impl Sockets {
    /// A receiver on the loopback address of the site's IP version, with the program that `attach` puts there.
    ///
    /// # Errors
    /// A socket can't be made, or the program not attached.
    pub(super) fn new(
        program: KernelFilter,
        attach: impl FnOnce(&KernelFilter, &UdpSocket) -> Result<Attached, HookError>,
    ) -> anyhow::Result<Self> {
        let hook = program.site().hook;
        let sources: &[IpAddr] =
            if program.site().endpoint.address.is_ipv4() { &V4_SOURCES } else { &V6_SOURCES };
        let loopback = sources[0];
        let any_port = SocketAddr::new(loopback, 0);
        let socket = Socket::new(Domain::for_address(any_port), Type::DGRAM, None)
            .context("making a socket to receive on")?;
        let receiver = UdpSocket::from(socket);
        if hook.owner() == Owner::SharedPort {
            setsockopt(&receiver, sockopt::ReusePort, &true).context("sharing the receiver's port")?;
        }
        let attached = attach(&program, &receiver)?;
        let receiver = Socket::from(receiver);
        receiver.bind(&any_port.into()).context("binding the receiver to loopback")?;
        let receiver = UdpSocket::from(receiver);
        receiver.set_nonblocking(true)?;
        let mut senders = Vec::new();
        for source in sources {
            let sender = UdpSocket::bind((*source, 0)).context("binding a sender to loopback")?;
            sender.connect(receiver.local_addr()?)?;
            senders.push(sender);
        }
        let dropped = socket_drops(&receiver)?;
        let buffer = vec![0; MAX_PAYLOAD + 1];
        Ok(Self { hook, receiver, senders, program, _attached: attached, buffer, dropped })
    }

    /// Each packet has its sender, by the sum of its bytes.
    fn sender_of(&self, case: &Case) -> &UdpSocket {
        let sum: usize = case.seen.iter().map(|byte| usize::from(*byte)).sum();
        &self.senders[sum % self.senders.len()]
    }

    fn verdict(&mut self, case: &Case, payload: &[u8]) -> anyhow::Result<Verdict> {
        self.sender_of(case).send(payload).context("sending to loopback")?;
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
            if self.is_dropped(case)? {
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

    fn is_dropped(&mut self, case: &Case) -> io::Result<bool> {
        if self.hook.owner() == Owner::SharedPort {
            let refused = self.sender_of(case).take_error()?;
            return Ok(refused.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused));
        }
        let dropped = socket_drops(&self.receiver)?;
        Ok(std::mem::replace(&mut self.dropped, dropped) != dropped)
    }
}

impl Subject for Sockets {
    fn decide_one(&mut self, case: &Case) -> anyhow::Result<Decided> {
        Ok(match case.sendable() {
            Some(payload) if payload.len() <= MAX_PAYLOAD => Decided::Verdict(self.verdict(case, payload)?),
            _ => Decided::NotRunnable,
        })
    }

    fn program(&self) -> &KernelFilter {
        &self.program
    }

    fn sender(&self, case: &Case) -> Option<IpAddr> {
        self.sender_of(case).local_addr().ok().map(|address| address.ip())
    }
}

/// The payload of a packet that a socket can send: one datagram, whose length field is right.
pub(super) trait Sendable {
    /// Nothing where none can.
    fn sendable(&self) -> Option<&[u8]>;
}

impl Sendable for Case {
    fn sendable(&self) -> Option<&[u8]> {
        let length = u16_at(&self.seen, udp::LENGTH_OFFSET)?;
        let is_whole = usize::from(length) == self.seen.len() && self.segments <= 1;
        is_whole.then(|| self.seen.get(udp::PAYLOAD_OFFSET..))?
    }
}
