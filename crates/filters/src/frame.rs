//! The reference below the socket: from a frame to the UDP packet in it, as every program there must find it.

use std::net::IpAddr;

use weir_wire::{
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

use crate::{Endpoint, Filter, FilterName, Layer, Packet, Site, SuperPackets, Verdict};

/// What a program makes of the bytes that it sees at its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A packet for the server: the filter decides.
    Packet(Packet<'a>),
    /// For the server, and several datagrams in one: what the site says is done.
    SuperPacket,
    /// For the server's address, and behind more IPv6 extension headers than are read: whether it is for the server nobody
    /// says. It ends here.
    TooDeep,
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
            Found::TooDeep => Verdict::Drop,
            Found::SuperPacket | Found::Other => Verdict::Accept,
        }
    }

    /// Finds the server's packet in what a program there sees.
    ///
    /// Untouched goes what isn't UDP to the endpoint, and what the kernel takes apart or discards by itself before the
    /// server could see it: fragments, headers that contradict each other or are cut off, more VLAN tags than are
    /// read.
    pub fn find<'a>(&self, seen: &'a [u8], segments: u32) -> Found<'a> {
        if self.hook.layer() == Layer::Udp {
            return Found::Packet(Packet::from_udp(seen));
        }
        match self.addressed(seen) {
            Some(_) if segments > 1 => Found::SuperPacket,
            Some((_, packet)) => Found::Packet(packet),
            None if self.is_too_deep(seen) => Found::TooDeep,
            None => Found::Other,
        }
    }

    /// Whether it is an IPv6 packet for the server's address with more extension headers than are read.
    fn is_too_deep(&self, seen: &[u8]) -> bool {
        let Endpoint { address, .. } = self.endpoint;
        self.ip(seen).and_then(|ip| ip.behind_extensions()).is_some_and(|behind| {
            let is_ours =
                self.endpoint.takes_ipv6() && (address.is_unspecified() || address == behind.destination);
            is_ours && ipv6::EXTENSIONS.contains(&behind.kind)
        })
    }

    /// Where the server's packet in what a program there sees comes from; nothing where that begins with UDP.
    pub fn source(&self, seen: &[u8]) -> Option<IpAddr> {
        if self.hook.layer() == Layer::Udp { None } else { self.addressed(seen).map(|(source, _)| source) }
    }

    fn ip<'a>(&self, seen: &'a [u8]) -> Option<Ip<'a>> {
        match self.hook.layer() {
            Layer::Ethernet => behind_ethernet(seen),
            Layer::Ip | Layer::Udp => Some(Ip { bytes: seen, ethertype: None }),
        }
    }

    /// The server's packet, and its source.
    fn addressed<'a>(&self, seen: &'a [u8]) -> Option<(IpAddr, Packet<'a>)> {
        let Datagram { source, destination, udp } = self.ip(seen)?.datagram()?;
        let length = u16_at(udp, udp::LENGTH_OFFSET)?;
        let datagram = udp.get(..length.into())?;
        let payload = datagram.get(udp::PAYLOAD_OFFSET..)?;
        let port = u16_at(udp, udp::DESTINATION_OFFSET)?;
        let is_ours = self.endpoint.is_reached_at(destination, port);
        is_ours.then_some((source, Packet { udp_length: Some(length), payload }))
    }
}

struct Ip<'a> {
    bytes: &'a [u8],
    /// What Ethernet says that it is.
    ethertype: Option<u16>,
}

/// What IP carries, where that is UDP and whole.
struct Datagram<'a> {
    source: IpAddr,
    destination: IpAddr,
    udp: &'a [u8],
}

/// What IPv6 carries behind extension headers.
struct Behind<'a> {
    /// Of the header that is next.
    kind: u8,
    source: IpAddr,
    destination: IpAddr,
    rest: &'a [u8],
}

fn behind_ethernet(frame: &[u8]) -> Option<Ip<'_>> {
    let mut at = ethernet::TYPE_OFFSET;
    let is_tag = |ethertype| matches!(ethertype, ethernet::VLAN | ethernet::SERVICE_VLAN);
    for _ in 0..ethernet::MAX_TAGS {
        if is_tag(u16_at(frame, at)?) {
            at += ethernet::TAG_LEN;
        }
    }
    let ethertype = u16_at(frame, at)?;
    Some(Ip { bytes: &frame[at + size_of::<u16>()..], ethertype: Some(ethertype) })
}

impl<'a> Ip<'a> {
    fn datagram(&self) -> Option<Datagram<'a>> {
        let is = |ethertype| self.ethertype.is_none_or(|said| said == ethertype);
        match self.bytes.first()? >> 4 {
            4 if is(ethernet::IPV4) => self.in_ipv4(),
            6 if is(ethernet::IPV6) => self.in_ipv6(),
            _ => None,
        }
    }

    fn in_ipv4(&self) -> Option<Datagram<'a>> {
        let header = self.bytes.get(..ipv4::MIN_HEADER_LEN)?;
        let header_len = 4 * usize::from(header[ipv4::VERSION_OFFSET] & 0xf);
        let is_fragment = u16_at(header, ipv4::FRAGMENT_OFFSET)? & ipv4::FRAGMENT_MASK != 0;
        let is_udp = header[ipv4::PROTOCOL_OFFSET] == headers::UDP;
        if header_len < ipv4::MIN_HEADER_LEN || is_fragment || !is_udp {
            return None;
        }
        let total = u16_at(header, ipv4::TOTAL_LENGTH_OFFSET)?;
        let udp = self.bytes.get(..total.into())?.get(header_len..)?;
        let [source, destination] =
            [ipv4::SOURCE_OFFSET, ipv4::DESTINATION_OFFSET].map(|offset| bytes_at::<4>(header, offset));
        Some(Datagram { source: source?.into(), destination: destination?.into(), udp })
    }

    fn in_ipv6(&self) -> Option<Datagram<'a>> {
        let Behind { kind, source, destination, rest } = self.behind_extensions()?;
        (kind == headers::UDP).then_some(Datagram { source, destination, udp: rest })
    }

    /// What is behind those extension headers that are read.
    fn behind_extensions(&self) -> Option<Behind<'a>> {
        let is_ipv6 =
            self.ethertype.is_none_or(|said| said == ethernet::IPV6) && self.bytes.first()? >> 4 == 6;
        let header = self.bytes.get(..ipv6::HEADER_LEN).filter(|_| is_ipv6)?;
        let payload_len = u16_at(header, ipv6::PAYLOAD_LENGTH_OFFSET)?;
        let packet = self.bytes.get(..ipv6::HEADER_LEN + usize::from(payload_len))?;
        let mut next = header[ipv6::NEXT_HEADER_OFFSET];
        let mut at = ipv6::HEADER_LEN;
        for _ in 0..ipv6::MAX_EXTENSIONS {
            if next == headers::UDP {
                break;
            }
            let extension = packet.get(at..)?;
            at += passed_len(next, extension)?;
            next = *extension.first()?;
        }
        let [source, destination] =
            [ipv6::SOURCE_OFFSET, ipv6::DESTINATION_OFFSET].map(|offset| bytes_at::<16>(header, offset));
        let rest = packet.get(at..)?;
        Some(Behind { kind: next, source: source?.into(), destination: destination?.into(), rest })
    }
}

/// Length of an extension header that is passed; the first 8 bytes of each must be there.
fn passed_len(kind: u8, bytes: &[u8]) -> Option<usize> {
    let bytes: &[u8; 8] = bytes.first_chunk()?;
    let is_passed = match kind {
        ipv6::ROUTING => bytes[ipv6::SEGMENTS_LEFT_OFFSET] == 0,
        ipv6::FRAGMENT => u16_at(bytes, ipv6::FRAGMENT_OFFSET)? & ipv6::FRAGMENT_MASK == 0,
        _ => true,
    };
    extension_len(kind, bytes[ipv6::EXTENSION_LENGTH_OFFSET]).filter(|_| is_passed)
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
