//! A frame by its parts, each of which can lie about the others.

use std::net::IpAddr;

use weir_wire::headers::{self, ethernet, ipv4, ipv6};

use super::{Case, requests};
use crate::{Layer, extension_len};

/// A frame to be written: Ethernet, IP, UDP, payload.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// What stands before each VLAN tag, outermost first.
    pub(super) tags: Vec<u16>,
    /// What Ethernet says that it carries, where that isn't the truth.
    pub(super) ethertype: Option<u16>,
    /// The version that the IP header says, where that isn't the truth.
    pub(super) version: Option<u8>,
    /// Length of the IPv4 header that it says in 4-byte words, where that isn't the truth.
    pub(super) header_words: Option<u8>,
    /// 4-byte words of IPv4 options.
    pub(super) options: usize,
    /// Flags and offset of the IPv4 header.
    pub(super) fragment: u16,
    /// What IP carries behind the extension headers.
    pub(super) protocol: u8,
    /// IPv6 extension headers.
    pub(super) extensions: Vec<Extension>,
    /// Where it goes.
    pub(super) destination: IpAddr,
    /// Where it comes from, of the same IP version.
    pub(super) source: IpAddr,
    pub(super) port: u16,
    pub(super) source_port: u16,
    /// IPv4's length of everything, IPv6's of what follows its header.
    pub(super) ip_length: LengthField,
    pub(super) udp_length: LengthField,
    pub(super) payload: Vec<u8>,
    /// Bytes behind the packet, as short Ethernet frames have them.
    pub(super) padding: usize,
    /// Bytes of the frame that are there, where some are cut off.
    pub(super) keep: Option<usize>,
    /// Datagrams that the kernel says it is.
    pub(super) segments: u32,
}

/// A length field.
#[derive(Clone, Copy, Debug)]
pub(super) enum LengthField {
    /// The truth and so many more.
    Off(i32),
    /// This.
    Is(u16),
    /// The truth in the other byte order.
    Swapped,
}

/// An IPv6 extension header; its first byte is set to the type of what follows.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    pub(super) kind: u8,
    pub(super) bytes: Vec<u8>,
}

impl LengthField {
    fn field(self, truth: usize) -> u16 {
        match self {
            Self::Off(more) => (truth as i32).wrapping_add(more) as u16,
            Self::Is(length) => length,
            Self::Swapped => (truth as u16).swap_bytes(),
        }
    }
}

impl Shape {
    /// A whole and honest packet.
    pub(super) fn new(source: IpAddr, destination: IpAddr, port: u16, payload: &[u8]) -> Self {
        Self {
            tags: Vec::new(),
            ethertype: None,
            version: None,
            header_words: None,
            options: 0,
            fragment: 0,
            protocol: headers::UDP,
            extensions: Vec::new(),
            destination,
            source,
            port,
            source_port: 40_000,
            ip_length: LengthField::Off(0),
            udp_length: LengthField::Off(0),
            payload: payload.to_vec(),
            padding: 0,
            keep: None,
            segments: 1,
        }
    }

    /// What a program sees of it from that layer on.
    pub(super) fn case(&self, layer: Layer) -> Case {
        let mut seen = Vec::with_capacity(128);
        if layer == Layer::Ethernet {
            self.ethernet(&mut seen);
        }
        self.ip(&mut seen);
        seen.resize(seen.len() + self.padding, 0);
        seen.truncate(self.keep.unwrap_or(usize::MAX));
        Case { seen, segments: self.segments }
    }

    fn ethernet(&self, frame: &mut Vec<u8>) {
        const ADDRESSES: [u8; ethernet::TYPE_OFFSET] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        frame.extend(ADDRESSES);
        for (id, tag) in (1_u16..).zip(&self.tags) {
            frame.extend(tag.to_be_bytes());
            frame.extend(id.to_be_bytes());
        }
        let truth = if self.destination.is_ipv4() { ethernet::IPV4 } else { ethernet::IPV6 };
        frame.extend(self.ethertype.unwrap_or(truth).to_be_bytes());
    }

    fn ip(&self, frame: &mut Vec<u8>) {
        let udp = self.udp();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let addresses = [source.octets(), destination.octets()].concat();
                self.ipv4(frame, &addresses, udp.len());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let addresses = [source.octets(), destination.octets()].concat();
                self.ipv6(frame, &addresses, udp.len());
            }
            _ => unreachable!("both ends of a shape are of one version"),
        }
        frame.extend(udp);
    }

    fn ipv4(&self, frame: &mut Vec<u8>, addresses: &[u8], udp_len: usize) {
        const NO_OPERATION: u8 = 1;
        const TIME_TO_LIVE: u8 = 64;
        let header_len = ipv4::MIN_HEADER_LEN + 4 * self.options;
        let words = self.header_words.unwrap_or((header_len / 4) as u8);
        frame.extend([self.version.unwrap_or(4) << 4 | words & 0xf, 0]);
        frame.extend(self.ip_length.field(header_len + udp_len).to_be_bytes());
        frame.extend([0x12, 0x34]);
        frame.extend(self.fragment.to_be_bytes());
        frame.extend([TIME_TO_LIVE, self.protocol, 0, 0]);
        frame.extend(addresses);
        frame.resize(frame.len() + 4 * self.options, NO_OPERATION);
    }

    fn ipv6(&self, frame: &mut Vec<u8>, addresses: &[u8], udp_len: usize) {
        const HOP_LIMIT: u8 = 64;
        let extensions_len: usize = self.extensions.iter().map(|extension| extension.bytes.len()).sum();
        let kinds = self.extensions.iter().map(|extension| extension.kind).chain([self.protocol]);
        let mut kinds = kinds.collect::<Vec<_>>().into_iter();
        frame.extend([self.version.unwrap_or(6) << 4, 0, 0, 0]);
        frame.extend(self.ip_length.field(extensions_len + udp_len).to_be_bytes());
        frame.extend([kinds.next().unwrap_or(headers::UDP), HOP_LIMIT]);
        frame.extend(addresses);
        debug_assert!(frame.len() >= ipv6::HEADER_LEN);
        for (extension, next) in self.extensions.iter().zip(kinds) {
            frame.push(next);
            frame.extend(&extension.bytes[1..]);
        }
    }

    fn udp(&self) -> Vec<u8> {
        let length = self.udp_length.field(weir_wire::udp::HEADER_LEN + self.payload.len());
        let mut udp = requests::packet(length, &self.payload);
        udp[..2].copy_from_slice(&self.source_port.to_be_bytes());
        udp[weir_wire::udp::DESTINATION_OFFSET..][..2].copy_from_slice(&self.port.to_be_bytes());
        udp
    }
}

impl Extension {
    /// One that is as long as its own length field says in that kind's unit.
    pub(super) fn new(kind: u8, units: u8) -> Self {
        let len = extension_len(kind, units).unwrap_or(8 * (usize::from(units) + 1));
        let mut bytes = vec![0; len.max(ipv6::EXTENSION_LENGTH_OFFSET + 1)];
        bytes[ipv6::EXTENSION_LENGTH_OFFSET] = units;
        Self { kind, bytes }
    }

    /// The same with a byte set, where it is long enough.
    pub(super) fn with(mut self, offset: usize, value: u8) -> Self {
        if let Some(byte) = self.bytes.get_mut(offset) {
            *byte = value;
        }
        self
    }
}
