//! What can be unusual about a frame, each a change to an honest one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_wire::{
    headers::{ethernet, ipv6},
    udp,
};

use super::shape::{Extension, LengthField, Shape};
use crate::Endpoint;

/// One thing about a frame that is not as in an honest one.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Tags(Vec<u16>),
    Ethertype(u16),
    Version(u8),
    HeaderWords(u8),
    Options(usize),
    Fragment(u16),
    Protocol(u8),
    Extensions(Vec<Extension>),
    /// Those, and IP says that the packet has no length.
    Jumbo(Vec<Extension>),
    Source(IpAddr),
    Destination(IpAddr),
    Port(u16),
    SourcePort(u16),
    IpLength(LengthField),
    UdpLength(LengthField),
    Padding(usize),
    Segments(u32),
}

impl Change {
    /// Makes it. A destination or source of the other IP version changes nothing.
    pub(super) fn make(&self, shape: &mut Shape) {
        match self.clone() {
            Self::Tags(tags) => shape.tags = tags,
            Self::Ethertype(ethertype) => shape.ethertype = Some(ethertype),
            Self::Version(version) => shape.version = Some(version),
            Self::HeaderWords(words) => shape.header_words = Some(words),
            Self::Options(words) => shape.options = words,
            Self::Fragment(fragment) => shape.fragment = fragment,
            Self::Protocol(protocol) => shape.protocol = protocol,
            Self::Extensions(extensions) => shape.extensions = extensions,
            Self::Jumbo(extensions) => {
                shape.extensions = extensions;
                shape.ip_length = LengthField::Is(0);
            }
            Self::Destination(address) if address.is_ipv4() == shape.destination.is_ipv4() => {
                shape.destination = address;
            }
            Self::Source(address) if address.is_ipv4() == shape.source.is_ipv4() => shape.source = address,
            Self::Source(_) | Self::Destination(_) => {}
            Self::Port(port) => shape.port = port,
            Self::SourcePort(port) => shape.source_port = port,
            Self::IpLength(length) => shape.ip_length = length,
            Self::UdpLength(length) => shape.udp_length = length,
            Self::Padding(bytes) => shape.padding = bytes,
            Self::Segments(segments) => shape.segments = segments,
        }
    }
}

/// Every change for a server there; `with_segments` where the hook sees several datagrams in one.
pub(super) fn all(endpoint: &Endpoint, base: &Shape, with_segments: bool) -> Vec<Change> {
    let mut changes = below_ip();
    changes.extend(if base.destination.is_ipv4() { in_ipv4() } else { in_ipv6(endpoint.port) });
    changes.extend((0..=u8::MAX).map(Change::Protocol));
    changes.extend(other_addresses(base.destination).into_iter().map(Change::Destination));
    changes.extend(sources(base.source).map(Change::Source));
    let port = endpoint.port;
    let ports = [port ^ 1, port ^ 0x100, port.swap_bytes(), 0, u16::MAX, port.wrapping_add(1)];
    changes.extend(ports.map(Change::Port));
    changes.push(Change::SourcePort(port));
    changes.extend(lengths().into_iter().map(Change::UdpLength));
    changes.extend(lengths().into_iter().map(Change::IpLength));
    changes.extend([1, 2, 7, 8, 18, 46].map(Change::Padding));
    if with_segments {
        changes.extend([0, 2, 3, 10, 64, 256, 65_535].map(Change::Segments));
    }
    changes
}

fn below_ip() -> Vec<Change> {
    const INNER: u16 = ethernet::VLAN;
    const OUTER: u16 = ethernet::SERVICE_VLAN;
    /// The ethertype that stood before outer tags ahead of 802.1ad.
    const OLD_OUTER: u16 = 0x9100;
    const ARP: u16 = 0x0806;
    let mut stacks: Vec<Vec<u16>> = vec![vec![OLD_OUTER], vec![OLD_OUTER, INNER]];
    for first in [INNER, OUTER] {
        stacks.push(vec![first]);
        for second in [INNER, OUTER] {
            stacks.extend([vec![first, second], vec![first, second, INNER], vec![first, second, OUTER]]);
            stacks.push(vec![first, second, INNER, INNER]);
        }
    }
    let types = [ethernet::IPV4, ethernet::IPV6, ARP, INNER, OUTER, OLD_OUTER, 0x88b5, 0x8864, 64, 0];
    let types = types.into_iter().flat_map(|ethertype| [ethertype, ethertype.swap_bytes()]);
    stacks.into_iter().map(Change::Tags).chain(types.map(Change::Ethertype)).collect()
}

fn in_ipv4() -> Vec<Change> {
    let mut changes: Vec<_> = (0..16).map(Change::Version).collect();
    changes.extend((0..16).map(Change::HeaderWords));
    changes.extend((1..=10).map(Change::Options));
    // Each bit of flags and offset; first, middle and last fragment.
    changes.extend((0..16).map(|bit| Change::Fragment(1 << bit)));
    changes.extend([0x2000, 0x2001, 0x20b9, 0x00b9, 0x6000, 0xc000, 0x1fff].map(Change::Fragment));
    changes
}

fn in_ipv6(port: u16) -> Vec<Change> {
    let mut changes: Vec<_> = (0..16).map(Change::Version).collect();
    changes.extend([ipv6::DESTINATION_OPTIONS, ipv6::HOP_BY_HOP, ipv6::ROUTING].map(|kind| {
        // To whoever takes its length for -1 it is no bytes long, and its own bytes are UDP's header.
        let [high, low] = port.to_be_bytes();
        let disguised = [0, u8::MAX, high, low, 0, udp::HEADER_LEN as u8, 0, 0];
        Change::Extensions(vec![Extension { kind, bytes: disguised.to_vec() }])
    }));
    changes.extend(chains().into_iter().map(Change::Extensions));
    changes.extend(READ.map(|kind| Change::Jumbo(vec![Extension::new(kind, 0)])));
    changes.extend(
        READ.map(|kind| Change::Jumbo(vec![Extension::new(ipv6::HOP_BY_HOP, 0), Extension::new(kind, 0)])),
    );
    changes
}

/// Kinds of extension headers: those that are read, and those that end the reading.
const READ: [u8; 5] =
    [ipv6::HOP_BY_HOP, ipv6::DESTINATION_OPTIONS, ipv6::ROUTING, ipv6::FRAGMENT, ipv6::AUTHENTICATION];
/// ESP, no next header, mobility, HIP, shim6, experiments (IANA, protocol numbers).
const UNREAD: [u8; 6] = [50, 59, 135, 139, 140, 253];

fn chains() -> Vec<Vec<Extension>> {
    let mut chains = Vec::new();
    for kind in READ.into_iter().chain(UNREAD) {
        chains.extend([0, 1, 2, 3, 6, 127, 128, 200, 255].map(|units| vec![Extension::new(kind, units)]));
        // One that says another length than it has.
        for said in [1, 2, 3, 0x7f, 0x80, 0xff] {
            chains.push(vec![Extension::new(kind, 0).with(ipv6::EXTENSION_LENGTH_OFFSET, said)]);
        }
        // One kind behind another, in every order.
        chains.extend(READ.map(|first| vec![Extension::new(first, 1), Extension::new(kind, 0)]));
        chains.extend((3..=8).map(|count| vec![Extension::new(kind, 0); count]));
    }
    chains.extend([1, 2, 128, 255].map(|left| vec![routing(left)]));
    chains.extend((0..=8).map(|count| {
        let mut chain = vec![Extension::new(ipv6::DESTINATION_OPTIONS, 0); count];
        chain.push(routing(1));
        chain
    }));
    // Every bit of a fragment's offset and flags, and of its other fields.
    for offset in 1..ipv6::FRAGMENT_LEN {
        let bits = (0..8).map(|bit| vec![Extension::new(ipv6::FRAGMENT, 0).with(offset, 1 << bit)]);
        chains.extend(bits);
    }
    // A first fragment in which another header comes before UDP's.
    let first =
        || Extension::new(ipv6::FRAGMENT, 0).with(ipv6::FRAGMENT_OFFSET + 1, ipv6::MORE_FRAGMENTS as u8);
    chains.extend(READ.into_iter().chain(UNREAD).map(|kind| vec![first(), Extension::new(kind, 0)]));
    chains.push(READ.map(|kind| Extension::new(kind, 1)).to_vec());
    // UDP's header before, across and behind the end of the first piece that a test run makes of a large frame, 3520 bytes
    // with pages of 4096.
    let options = |units| Extension::new(ipv6::DESTINATION_OPTIONS, units);
    chains.extend([174, 175, 176, 177, u8::MAX].map(|units| vec![options(u8::MAX), options(units)]));
    chains
}

fn routing(segments_left: u8) -> Extension {
    Extension::new(ipv6::ROUTING, 2).with(ipv6::SEGMENTS_LEFT_OFFSET, segments_left)
}

/// Sources of that one's IP version.
pub(super) fn sources(like: IpAddr) -> impl Iterator<Item = IpAddr> + Clone {
    super::SOURCES.into_iter().filter(move |source| source.is_ipv4() == like.is_ipv4())
}

/// Addresses that differ from `address` in one byte each, and in all.
fn other_addresses(address: IpAddr) -> Vec<IpAddr> {
    fn differing<const N: usize>(octets: [u8; N]) -> impl Iterator<Item = [u8; N]> {
        let one = (0..N).map(move |at| {
            let mut octets = octets;
            octets[at] ^= 1;
            octets
        });
        let mut reversed = octets;
        reversed.reverse();
        one.chain([octets.map(|octet| !octet), reversed])
    }
    match address {
        IpAddr::V4(address) => {
            differing(address.octets()).map(|octets| Ipv4Addr::from(octets).into()).collect()
        }
        IpAddr::V6(address) => {
            let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
            differing(address.octets()).map(Ipv6Addr::from).chain([mapped]).map(IpAddr::from).collect()
        }
    }
}

fn lengths() -> Vec<LengthField> {
    let off = [-28, -21, -20, -9, -8, -7, -4, -2, -1, 1, 2, 4, 7, 8, 9, 18, 20, 256, 4096];
    let near_headers = (0..=9).chain(18..=21).chain(26..=29).chain([48, 255, 256, 0x7fff, 0x8000, u16::MAX]);
    let mut lengths: Vec<_> = off.map(LengthField::Off).into();
    lengths.extend(near_headers.map(LengthField::Is));
    lengths.push(LengthField::Swapped);
    lengths
}

/// Payloads that a filter tells apart, the longest that headers hide in, and one that is in more than a page.
pub(super) fn payloads() -> Vec<Vec<u8>> {
    let long = [1400 - udp::HEADER_LEN, 5000].map(|len| [b"GET".as_slice(), &vec![0x5a; len]].concat());
    let words: [&[u8]; 10] = [
        b"GET\x01\x02\x03\x04",
        b"PUT\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c",
        b"DELETE\x01\x02\x03\x04",
        b"STOP",
        b"GET",
        b"BAD\x01\x02\x03\x04",
        b"DELETF\x01\x02\x03\x04",
        b"",
        b"G",
        b"STO",
    ];
    words.into_iter().map(<[u8]>::to_vec).chain(long).collect()
}
