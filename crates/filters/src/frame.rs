//! The reference below the socket: from a frame to the UDP packet in it, as every program there must find it.

use std::net::IpAddr;

use weir_wire::{
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

use crate::{Filter, FilterName, Layer, Packet, Site, SuperPackets, Verdict};

/// What a program makes of the bytes that it sees at its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A packet for the server: the filter decides.
    Packet(Packet<'a>),
    /// For the server, and several datagrams in one: what the site says is done.
    SuperPacket,
    /// For the server's address, and behind more IPv6 extension headers than are read, so that nobody says whether it is for the
    /// server; or its lengths say 0, which in IPv6 stands for more than they can say. It ends here.
    Unreadable,
    /// The first fragment of a packet for the server, or for its address where the UDP header is in a later one. What has a filter
    /// lets it go on uncounted. Later fragments say no port, and make no packet without the first.
    FirstFragment,
    /// Somebody else's, or nothing that the kernel would give to the server as it is: it goes on untouched and
    /// uncounted.
    Other,
}

impl Filter {
    /// Decides what a program at `site` sees: `seen` from that hook's first header on, of which the kernel says that it
    /// is `segments` datagrams (0 and 1 are both one). A filter without a decision, the accept-all one, looks
    /// at none of it.
    pub fn decide_at(&self, site: &Site, seen: &[u8], segments: u32) -> Verdict {
        if self.name == FilterName::Simple {
            return Verdict::Accept;
        }
        site.decide(seen, segments, |packet| self.decide(packet))
    }
}

impl Site {
    /// Decides what a program there sees, where `decide` decides the server's packets.
    pub fn decide(&self, seen: &[u8], segments: u32, decide: impl FnOnce(Packet<'_>) -> Verdict) -> Verdict {
        match self.find(seen, segments) {
            Found::Packet(packet) => decide(packet),
            Found::SuperPacket if self.super_packets == SuperPackets::Drop => Verdict::Drop,
            Found::Unreadable => Verdict::Drop,
            Found::SuperPacket | Found::FirstFragment | Found::Other => Verdict::Accept,
        }
    }

    /// Finds the server's packet in what a program there sees.
    ///
    /// Untouched goes what isn't UDP to the endpoint, and what the kernel takes apart or discards by itself before the
    /// server could see it: later fragments, headers that contradict each other or are cut off, more VLAN tags than are
    /// read.
    pub fn find<'a>(&self, seen: &'a [u8], segments: u32) -> Found<'a> {
        if self.hook.layer() == Layer::Udp {
            return Found::Packet(Packet::from_udp(seen));
        }
        match self.addressed(seen) {
            Some(_) if segments > 1 => Found::SuperPacket,
            Some(packet) => Found::Packet(packet),
            None => self.ip(seen).map_or(Found::Other, |ip| self.find_unjudged(&ip)),
        }
    }

    /// What of the server's can't be judged.
    fn find_unjudged(&self, ip: &Ip<'_>) -> Found<'static> {
        let Some(Unjudged { destination, port, is_fragment }) = ip.unjudged() else {
            return Found::Other;
        };
        let is_ours = self.endpoint.takes(destination) && port.is_none_or(|port| port == self.endpoint.port);
        match is_fragment {
            _ if !is_ours => Found::Other,
            true => Found::FirstFragment,
            false => Found::Unreadable,
        }
    }

    /// Where the server's packet in what a program there sees comes from; nothing where that begins with UDP.
    pub fn source(&self, seen: &[u8]) -> Option<IpAddr> {
        if self.hook.layer() == Layer::Udp { None } else { self.ip(seen)?.source() }
    }

    fn ip<'a>(&self, seen: &'a [u8]) -> Option<Ip<'a>> {
        match self.hook.layer() {
            Layer::Ethernet => behind_ethernet(seen, 0),
            Layer::Ip | Layer::Udp => Some(Ip { bytes: seen, ethertype: None, missing: 0 }),
        }
    }

    /// The server's packet.
    fn addressed<'a>(&self, seen: &'a [u8]) -> Option<Packet<'a>> {
        let datagram = self.ip(seen)?.datagram()?;
        let (length, payload) = datagram.payload()?;
        let port = u16_at(datagram.udp, udp::DESTINATION_OFFSET)?;
        let is_ours = self.endpoint.is_reached_at(datagram.destination, port);
        is_ours.then_some(Packet { udp_length: Some(length), payload })
    }
}

pub(crate) struct Ip<'a> {
    pub(crate) bytes: &'a [u8],
    /// What Ethernet says that it is.
    pub(crate) ethertype: Option<u16>,
    /// How many bytes a capture left out behind those.
    pub(crate) missing: usize,
}

/// What IP carries, where that is UDP and whole.
pub(crate) struct Datagram<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// As much of it as is there.
    pub(crate) udp: &'a [u8],
    /// How many bytes IP says that it has.
    len: usize,
}

impl<'a> Datagram<'a> {
    /// UDP's length field, and what is there of the payload.
    pub(crate) fn payload(&self) -> Option<(u16, &'a [u8])> {
        let length = u16_at(self.udp, udp::LENGTH_OFFSET)?;
        let end = usize::from(length);
        let payload = self.udp.get(udp::PAYLOAD_OFFSET..end.min(self.udp.len()))?;
        (end <= self.len).then_some((length, payload))
    }
}

/// What Linux may give to a server though no program can judge it.
pub(crate) struct Unjudged {
    pub(crate) destination: IpAddr,
    /// The destination's port, where that is there.
    pub(crate) port: Option<u16>,
    /// It is a packet's first fragment, and else not read to its end.
    pub(crate) is_fragment: bool,
}

/// What IPv6 carries behind extension headers.
struct Behind<'a> {
    /// Of the header that is next.
    kind: u8,
    /// A fragment, which ends the reading.
    is_first_fragment: bool,
    source: IpAddr,
    destination: IpAddr,
    rest: &'a [u8],
    /// How many bytes the rest has where it isn't cut.
    len: usize,
}

impl<'a> Behind<'a> {
    /// UDP, whole.
    fn datagram(self) -> Option<Datagram<'a>> {
        let Self { kind, is_first_fragment, source, destination, rest, len } = self;
        let is_whole = kind == headers::UDP && !is_first_fragment;
        is_whole.then_some(Datagram { source, destination, udp: rest, len })
    }
}

pub(crate) fn behind_ethernet(frame: &[u8], missing: usize) -> Option<Ip<'_>> {
    let mut at = ethernet::TYPE_OFFSET;
    let is_tag = |ethertype| matches!(ethertype, ethernet::VLAN | ethernet::SERVICE_VLAN);
    for _ in 0..ethernet::MAX_TAGS {
        if is_tag(u16_at(frame, at)?) {
            at += ethernet::TAG_LEN;
        }
    }
    let ethertype = u16_at(frame, at)?;
    Some(Ip { bytes: &frame[at + size_of::<u16>()..], ethertype: Some(ethertype), missing })
}

impl<'a> Ip<'a> {
    pub(crate) fn datagram(&self) -> Option<Datagram<'a>> {
        match self.version()? {
            4 => self.in_ipv4(0),
            _ => self.behind_extensions()?.datagram(),
        }
    }

    /// What Linux may give to a server though no program can judge it. A first fragment has the UDP header in IPv4, of which
    /// the rest has an offset that 8 divides; in IPv6 there may be headers before it.
    pub(crate) fn unjudged(&self) -> Option<Unjudged> {
        let port = |udp: &[u8]| u16_at(udp.get(..udp::HEADER_LEN)?, udp::DESTINATION_OFFSET);
        let unjudged = |destination, port, is_fragment| Some(Unjudged { destination, port, is_fragment });
        // In IPv6 Linux takes a UDP packet whose length is 0 for as long as IP says (net/ipv6/udp.c, `__udp6_lib_rcv`).
        let without_length = |datagram: Datagram<'_>| {
            let is_without = u16_at(datagram.udp, udp::LENGTH_OFFSET)? == 0;
            unjudged(datagram.destination, Some(port(datagram.udp)?), false).filter(|_| is_without)
        };
        if self.version()? == 4 {
            return match self.in_ipv4(ipv4::MORE_FRAGMENTS) {
                Some(first) => unjudged(first.destination, Some(port(first.udp)?), true),
                None => without_length(self.in_ipv4(0)?),
            };
        }
        if let Some(destination) = self.jumbo_destination() {
            return unjudged(destination, None, false);
        }
        let behind = self.behind_extensions()?;
        match (behind.kind, behind.is_first_fragment) {
            (headers::UDP, true) => unjudged(behind.destination, Some(port(behind.rest)?), true),
            (headers::UDP, false) => without_length(behind.datagram()?),
            (kind, is_fragment) if ipv6::EXTENSIONS.contains(&kind) => {
                unjudged(behind.destination, None, is_fragment)
            }
            _ => None,
        }
    }

    /// Who sent it, by its header.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        match self.version()? {
            4 => bytes_at::<4>(self.bytes, ipv4::SOURCE_OFFSET).map(IpAddr::from),
            _ => bytes_at::<16>(self.bytes, ipv6::SOURCE_OFFSET).map(IpAddr::from),
        }
    }

    /// UDP, where what is said of fragments is that.
    fn in_ipv4(&self, fragment: u16) -> Option<Datagram<'a>> {
        let header = self.bytes.get(..ipv4::MIN_HEADER_LEN)?;
        let header_len = 4 * usize::from(header[ipv4::VERSION_OFFSET] & 0xf);
        let is_such = u16_at(header, ipv4::FRAGMENT_OFFSET)? & ipv4::FRAGMENT_MASK == fragment;
        let is_udp = header[ipv4::PROTOCOL_OFFSET] == headers::UDP;
        if header_len < ipv4::MIN_HEADER_LEN || !is_such || !is_udp {
            return None;
        }
        let total = usize::from(u16_at(header, ipv4::TOTAL_LENGTH_OFFSET)?);
        let udp = self.first(total)?.get(header_len..)?;
        let [source, destination] =
            [ipv4::SOURCE_OFFSET, ipv4::DESTINATION_OFFSET].map(|offset| bytes_at::<4>(header, offset));
        Some(Datagram {
            source: source?.into(),
            destination: destination?.into(),
            udp,
            len: total - header_len,
        })
    }

    /// Where an IPv6 packet goes whose payload length is 0 behind a hop-by-hop header (RFC 2675), which Linux reads as far as
    /// there is something (net/ipv6/ip6_input.c, `ip6_rcv_core`).
    fn jumbo_destination(&self) -> Option<IpAddr> {
        let header = self.bytes.get(..ipv6::HEADER_LEN).filter(|_| self.version() == Some(6))?;
        let is_jumbo = u16_at(header, ipv6::PAYLOAD_LENGTH_OFFSET) == Some(0)
            && header[ipv6::NEXT_HEADER_OFFSET] == ipv6::HOP_BY_HOP;
        is_jumbo.then(|| bytes_at::<16>(header, ipv6::DESTINATION_OFFSET)).flatten().map(IpAddr::from)
    }

    /// What is behind those extension headers that are read.
    fn behind_extensions(&self) -> Option<Behind<'a>> {
        let header = self.bytes.get(..ipv6::HEADER_LEN).filter(|_| self.version() == Some(6))?;
        let packet_len = ipv6::HEADER_LEN + usize::from(u16_at(header, ipv6::PAYLOAD_LENGTH_OFFSET)?);
        let packet = self.first(packet_len)?;
        let mut next = header[ipv6::NEXT_HEADER_OFFSET];
        let mut at = ipv6::HEADER_LEN;
        let mut is_first_fragment = false;
        for _ in 0..ipv6::MAX_EXTENSIONS {
            if next == headers::UDP || is_first_fragment {
                break;
            }
            let extension: &[u8; 8] = packet.get(at..)?.first_chunk()?;
            let fragment = u16_at(extension, ipv6::FRAGMENT_OFFSET)? & ipv6::FRAGMENT_MASK;
            is_first_fragment = next == ipv6::FRAGMENT && fragment == ipv6::MORE_FRAGMENTS;
            let is_passed = match next {
                ipv6::ROUTING => extension[ipv6::SEGMENTS_LEFT_OFFSET] == 0,
                ipv6::FRAGMENT => fragment == 0 || is_first_fragment,
                _ => true,
            };
            at += extension_len(next, extension[ipv6::EXTENSION_LENGTH_OFFSET]).filter(|_| is_passed)?;
            next = extension[0];
        }
        let [source, destination] =
            [ipv6::SOURCE_OFFSET, ipv6::DESTINATION_OFFSET].map(|offset| bytes_at::<16>(header, offset));
        let rest = packet.get(at..)?;
        let [source, destination] = [source?.into(), destination?.into()];
        Some(Behind { kind: next, is_first_fragment, source, destination, rest, len: packet_len - at })
    }

    /// As much as is there of the first `len` bytes; nothing where the frame never had so many.
    fn first(&self, len: usize) -> Option<&'a [u8]> {
        (len <= self.bytes.len() + self.missing).then(|| &self.bytes[..len.min(self.bytes.len())])
    }

    /// The version, where it is the one that Ethernet says.
    pub(crate) fn version(&self) -> Option<u8> {
        let is = |ethertype| self.ethertype.is_none_or(|said| said == ethertype);
        let version = self.bytes.first()? >> 4;
        let is_said = (version == 4 && is(ethernet::IPV4)) || (version == 6 && is(ethernet::IPV6));
        is_said.then_some(version)
    }
}

/// Length of an IPv6 extension header of that kind whose length field is `units`, bytes; nothing for kinds that aren't read.
pub fn extension_len(kind: u8, units: u8) -> Option<usize> {
    let units = usize::from(units);
    match kind {
        ipv6::HOP_BY_HOP | ipv6::DESTINATION_OPTIONS | ipv6::ROUTING => Some(8 * (units + 1)),
        ipv6::AUTHENTICATION => Some(4 * (units + 2)),
        ipv6::FRAGMENT => Some(ipv6::FRAGMENT_LEN),
        _ => None,
    }
}

/// The big-endian field of two bytes at an offset, where it is there.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes_at(bytes, offset).map(u16::from_be_bytes)
}

fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}
