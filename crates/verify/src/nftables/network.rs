//! A service in a network namespace: datagrams to it from any address, and what comes to it.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    process::Command,
    thread::yield_now,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use socket2::{Domain, Protocol, Socket, Type};
use weir_guard::{
    meaning::{Decision, Party, Service},
    nft,
};
use weir_wire::{headers, udp};

use super::{RulesetDisagreement, ServiceDatagram, counters};

/// Longest time that a datagram on loopback is waited for; it takes microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The service's sockets, and those that send to it, of each IP version that it takes.
pub(super) struct Network {
    ends: Vec<End>,
    buffer: Vec<u8>,
    /// The last one that came and was not waited for.
    surplus: Option<(SocketAddr, Vec<u8>)>,
}

struct End {
    /// The service's.
    receiver: UdpSocket,
    /// Sends whole IP packets (raw(7), `IPPROTO_RAW`).
    sender: Socket,
    to: SocketAddr,
}

impl Network {
    /// That of this thread, whose loopback interface is up. The thread stays on one CPU, so that datagrams keep their order.
    pub(super) fn of(service: &Service) -> anyhow::Result<Self> {
        let mut cpu = CpuSet::new();
        cpu.set(nix::sched::sched_getcpu()?)?;
        sched_setaffinity(Pid::from_raw(0), &cpu).context("staying on one CPU")?;
        let listen = service.listen;
        let addresses: Vec<IpAddr> = match listen.address {
            Some(address) => vec![address],
            None => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        };
        let end = |address: &IpAddr| {
            if !address.is_loopback() {
                let text = address.to_string();
                // Else it is tentative for a moment.
                let at_once = address.is_ipv6().then_some("nodad");
                let arguments = ["address", "add", &text, "dev", "lo"].into_iter().chain(at_once);
                ip(&arguments.collect::<Vec<_>>())?;
            }
            End::at(SocketAddr::new(*address, listen.port))
        };
        let ends = addresses.iter().map(end).collect::<anyhow::Result<_>>()?;
        if service.known.is_some() {
            // What the service sends has to go somewhere.
            for version in ["-4", "-6"] {
                ip(&[version, "route", "add", "default", "dev", "lo"])?;
            }
        }
        Ok(Self { ends, buffer: vec![0; usize::from(u16::MAX)], surplus: None })
    }

    /// Sends it, or says that it can't be.
    pub(super) fn send(&self, datagram: &ServiceDatagram) -> anyhow::Result<bool> {
        let source = datagram.source;
        // No such packet gets as far as nft (net/ipv6/ip6_input.c, `ip6_rcv_core`); the kernel fills in 0.0.0.0.
        let is_somebody = !source.ip().is_unspecified()
            && !source.ip().is_multicast()
            && source.ip() == source.ip().to_canonical();
        let end = self.ends.iter().find(|end| end.to.is_ipv4() == source.is_ipv4());
        let Some(end) = end.filter(|_| is_somebody) else {
            return Ok(false);
        };
        let sent = match datagram.by {
            Party::Service => end.receiver.send_to(&datagram.payload, source),
            Party::Client => match packet(datagram, end.to) {
                Some(packet) => end.sender.send_to(&packet, &SocketAddr::new(end.to.ip(), 0).into()),
                None => return Ok(false),
            },
        };
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(nix::libc::EMSGSIZE) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("sending a datagram from {source}, or to it")),
        }
    }

    /// Waits until it comes, or until it is among those that were `sent` and judged; says whether it came, and nothing else before it.
    pub(super) fn receives(
        &mut self,
        datagram: &ServiceDatagram,
        service: &Service,
        sent: u64,
    ) -> anyhow::Result<bool> {
        /// What is later is asked for.
        const USUAL: Duration = Duration::from_millis(20);
        let since = Instant::now();
        let mut is_judged = false;
        loop {
            if let Some((source, payload)) = self.next()? {
                let is_it = is_of(source, &payload, datagram);
                if !is_it {
                    self.surplus = Some((source, payload));
                }
                return Ok(is_it);
            }
            if is_judged || since.elapsed() > PATIENCE {
                return Ok(false);
            }
            if since.elapsed() > USUAL {
                is_judged = counters::counted(service)?.values().sum::<u64>() >= sent;
            }
            yield_now();
        }
    }

    /// Whether something came that wasn't waited for.
    pub(super) fn has_received_more(&mut self) -> io::Result<bool> {
        self.surplus = self.next()?;
        Ok(self.surplus.is_some())
    }

    fn next(&mut self) -> io::Result<Option<(SocketAddr, Vec<u8>)>> {
        for end in &self.ends {
            match end.receiver.recv_from(&mut self.buffer) {
                Ok((len, source)) => return Ok(Some((source, self.buffer[..len].to_vec()))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The disagreement about a datagram that came and should not have, or else about the last one, which didn't come.
    pub(super) fn delivery(
        &mut self,
        service: &Service,
        sent: &[(&ServiceDatagram, Decision)],
        is_delivered: bool,
    ) -> RulesetDisagreement {
        let surplus = self.surplus.take();
        let is_it = |(datagram, _): &&(&ServiceDatagram, Decision)| {
            surplus.as_ref().is_some_and(|(source, payload)| is_of(*source, payload, datagram))
        };
        let unwanted =
            sent.iter().filter(|(_, decision)| !super::is_delivered(service, *decision)).find(is_it);
        let (datagram, decision) = unwanted.or(sent.last()).expect("one was sent");
        RulesetDisagreement::Delivery {
            datagram: (*datagram).clone(),
            expected: nft::comment(service, *decision),
            is_delivered: is_delivered || unwanted.is_some(),
        }
    }

    /// What the rules counted, once that is so many datagrams.
    pub(super) fn counted(&self, service: &Service, sent: u64) -> anyhow::Result<BTreeMap<String, u64>> {
        let since = Instant::now();
        loop {
            let counted = counters::counted(service)?;
            if counted.values().sum::<u64>() >= sent || since.elapsed() > PATIENCE {
                return Ok(counted);
            }
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let ended = Command::new("ip").args(arguments).status();
    let ended = ended.context("starting ip (Debian package iproute2)")?;
    ensure!(ended.success(), "ip {}: {ended}", arguments.join(" "));
    Ok(())
}

/// Whether what came is a datagram. Link-local addresses come with their interface, which the datagram doesn't say.
fn is_of(source: SocketAddr, payload: &[u8], datagram: &ServiceDatagram) -> bool {
    let sent = datagram.source;
    (source.ip(), source.port(), payload) == (sent.ip(), sent.port(), &datagram.payload)
}

/// What nft says of a service.
pub(super) fn ruleset(service: &Service) -> anyhow::Result<String> {
    nft::ruleset(service).map_err(|refusals| {
        let reasons: Vec<_> = refusals.iter().map(|refusal| refusal.reason.to_string()).collect();
        anyhow::anyhow!("nft can't say the guard of '{}': {}", service.name, reasons.join("; "))
    })
}

impl End {
    fn at(to: SocketAddr) -> anyhow::Result<Self> {
        let receiver = UdpSocket::bind(to).with_context(|| format!("receiving at {to}"))?;
        receiver.set_nonblocking(true)?;
        let raw = Protocol::from(nix::libc::IPPROTO_RAW);
        let sender = Socket::new(Domain::for_address(to), Type::RAW, Some(raw));
        Ok(Self { receiver, sender: sender.context("making a socket that sends IP packets")?, to })
    }
}

/// An IP packet, or nothing where it would be longer than its length says.
fn packet(datagram: &ServiceDatagram, to: SocketAddr) -> Option<Vec<u8>> {
    let len = u16::try_from(udp::HEADER_LEN + datagram.payload.len()).ok()?;
    let carried = u16::try_from(usize::from(len) + datagram.behind.len()).ok()?;
    let ports = [datagram.source.port(), to.port(), len, 0].map(u16::to_be_bytes).concat();
    let mut udp = [&ports, &datagram.payload[..]].concat();
    let header = match (datagram.source.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = carried.checked_add(headers::ipv4::MIN_HEADER_LEN as u16)?.to_be_bytes();
            // The kernel fills in the checksum; UDP's may be 0.
            let fixed = [&[0x45, 0][..], &total, &[0, 0, 0, 0, 64, headers::UDP, 0, 0]].concat();
            [&fixed[..], &from.octets(), &to.octets()].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let ends = [from.octets(), to.octets()].concat();
            let sum = checksum(&[&ends[..], &len.to_be_bytes(), &[0, headers::UDP], &udp].concat());
            udp[6..8].copy_from_slice(&sum.to_be_bytes());
            [&[0x60, 0, 0, 0][..], &carried.to_be_bytes(), &[headers::UDP, 64], &ends].concat()
        }
        _ => return None,
    };
    Some([&header[..], &udp, &datagram.behind].concat())
}

/// UDP's checksum of a pseudo-header and a datagram (RFC 768, RFC 8200 8.1), which is never 0.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)));
    let mut sum = words.fold(0_u32, |sum, word| sum.wrapping_add(word));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        0 => 0xffff,
        sum => sum,
    }
}
