//! What captured frames carry: UDP packets, whole or cut by the capture, and why there is none.

use std::net::{IpAddr, SocketAddr};

use weir_wire::{
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

use crate::{
    Layer, extension_len,
    frame::{Datagram, Ip, Unjudged, behind_ethernet},
    u16_at,
};

/// What a captured frame carries, whoever it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// A UDP packet.
    Udp(CarriedUdp<'a>),
    /// The first fragment of one, with its UDP header.
    FirstFragment {
        /// Who sent it.
        source: IpAddr,
        /// Where it goes.
        destination: SocketAddr,
    },
    /// Another fragment of one.
    Fragment,
    /// More IPv6 extension headers than are read, or a length of 0.
    Unreadable,
    /// Less than its headers: the rest was not captured.
    Cut,
    /// Anything else, headers that contradict each other among it.
    Other,
}

/// A UDP packet in a captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedUdp<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// The payload, as much of it as was captured.
    pub payload: &'a [u8],
    /// How many bytes the payload had, by UDP's length field.
    pub len: u16,
}

impl<'a> Carried<'a> {
    /// What is in `bytes`, which begin with the header `layer`, and of which the capture left out the last `missing` ones.
    pub fn of(layer: Layer, bytes: &'a [u8], missing: usize) -> Self {
        let ip = match layer {
            Layer::Ethernet => behind_ethernet(bytes, missing),
            Layer::Ip => Some(Ip { bytes, ethertype: None, missing }),
            Layer::Udp => None,
        };
        let Some(ip) = ip else {
            return if missing > 0 { Self::Cut } else { Self::Other };
        };
        if let Some(udp) = ip.datagram().and_then(|datagram| datagram.carried()) {
            return Self::Udp(udp);
        }
        match (ip.unjudged(), ip.source()) {
            (Some(Unjudged { is_fragment: false, .. }), _) => Self::Unreadable,
            (Some(Unjudged { destination, port: Some(port), .. }), Some(source)) => {
                Self::FirstFragment { source, destination: SocketAddr::new(destination, port) }
            }
            (Some(_), _) => Self::Fragment,
            _ if ip.is_fragment() => Self::Fragment,
            _ if ip.is_cut() => Self::Cut,
            _ => Self::Other,
        }
    }
}

impl<'a> Datagram<'a> {
    fn carried(&self) -> Option<CarriedUdp<'a>> {
        let (length, payload) = self.payload()?;
        Some(CarriedUdp {
            source: SocketAddr::new(self.source, u16_at(self.udp, 0)?),
            destination: SocketAddr::new(self.destination, u16_at(self.udp, udp::DESTINATION_OFFSET)?),
            payload,
            len: length - udp::HEADER_LEN as u16,
        })
    }
}

impl Ip<'_> {
    /// Whether it is a fragment of a UDP packet.
    fn is_fragment(&self) -> bool {
        let in_ipv4 = || {
            let fragment = u16_at(self.bytes, ipv4::FRAGMENT_OFFSET)?;
            let is_udp = *self.bytes.get(ipv4::PROTOCOL_OFFSET)? == headers::UDP;
            Some(is_udp && fragment & ipv4::FRAGMENT_MASK != 0)
        };
        let in_ipv6 = || {
            let mut next = *self.bytes.get(ipv6::NEXT_HEADER_OFFSET)?;
            let mut at = ipv6::HEADER_LEN;
            for _ in 0..ipv6::MAX_EXTENSIONS {
                let extension = self.bytes.get(at..)?;
                let is_part = u16_at(extension, ipv6::FRAGMENT_OFFSET)? & ipv6::FRAGMENT_MASK != 0;
                if next == ipv6::FRAGMENT && is_part {
                    return Some(extension[0] == headers::UDP);
                }
                at += extension_len(next, extension[ipv6::EXTENSION_LENGTH_OFFSET])?;
                next = extension[0];
            }
            None
        };
        match self.version() {
            Some(4) => in_ipv4(),
            Some(6) => in_ipv6(),
            _ => None,
        }
        .unwrap_or(false)
    }

    /// Whether what was not captured may have made it a UDP packet.
    fn is_cut(&self) -> bool {
        let may_be = |at, kinds: &[u8]| {
            self.bytes.get(at).is_none_or(|kind| *kind == headers::UDP || kinds.contains(kind))
        };
        let is_ip = matches!(self.ethertype, None | Some(ethernet::IPV4 | ethernet::IPV6));
        let may_be_udp = match self.version() {
            Some(4) => may_be(ipv4::PROTOCOL_OFFSET, &[]),
            Some(_) => may_be(ipv6::NEXT_HEADER_OFFSET, &ipv6::EXTENSIONS),
            None => is_ip && self.bytes.is_empty(),
        };
        self.missing > 0 && may_be_udp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: [u8; 10] = *b"\x0f\xa0\0\x35\0\x0a\0\0q1";

    /// IPv6 with these headers before UDP, each by its type and 8 bytes of which the first is made the next one's type.
    fn ipv6(extensions: &[(u8, [u8; 8])]) -> Vec<u8> {
        let kinds: Vec<u8> = extensions.iter().map(|(kind, _)| *kind).chain([headers::UDP]).collect();
        let len = (8 * extensions.len() + UDP.len()) as u8;
        let mut packet = [&[0x60, 0, 0, 0, 0, len, kinds[0], 64][..], &[1; 16], &[2; 16]].concat();
        for ((_, bytes), next) in extensions.iter().zip(&kinds[1..]) {
            packet.push(*next);
            packet.extend(&bytes[1..]);
        }
        [packet, UDP.to_vec()].concat()
    }

    fn name(carried: Carried<'_>) -> &'static str {
        match carried {
            Carried::Udp(_) => "udp",
            Carried::Fragment => "fragment",
            Carried::Unreadable => "unreadable",
            Carried::FirstFragment { .. } => "first fragment",
            Carried::Cut => "cut",
            Carried::Other => "other",
        }
    }

    #[test]
    fn what_is_no_udp_packet_is_told_from_what_is() {
        let options = (ipv6::DESTINATION_OPTIONS, [0; 8]);
        let first = (ipv6::FRAGMENT, [0, 0, 0, 1, 0, 0, 0, 7]);
        let later = (ipv6::FRAGMENT, [0, 0, 0, 9, 0, 0, 0, 7]);
        let whole = (ipv6::FRAGMENT, [0, 0, 0, 0, 0, 0, 0, 7]);
        for (extensions, expected) in [
            (&[][..], "udp"),
            (&[options, options], "udp"),
            (&[whole], "udp"),
            (&[options, first], "first fragment"),
            (&[options, later], "fragment"),
            // No port is there.
            (&[first, options], "fragment"),
            (&[options; 6], "udp"),
            (&[options; 7], "unreadable"),
        ] {
            let packet = ipv6(extensions);
            assert_eq!(name(Carried::of(Layer::Ip, &packet, 0)), expected, "{extensions:?}");
            let tagged = [&[2; 12][..], &[0x81, 0, 0, 5, 0x86, 0xdd], &packet].concat();
            assert_eq!(name(Carried::of(Layer::Ethernet, &tagged, 0)), expected, "{extensions:?}");
            let mistaken = [&[2; 12][..], &[8, 0], &packet].concat();
            assert_eq!(name(Carried::of(Layer::Ethernet, &mistaken, 0)), "other", "{extensions:?}");
        }
    }

    #[test]
    fn what_is_cut_has_its_length_and_less_of_its_payload() {
        let packet = ipv6(&[]);
        for kept in 0..=packet.len() {
            let missing = packet.len() - kept;
            let carried = Carried::of(Layer::Ip, &packet[..kept], missing);
            match kept.checked_sub(packet.len() - 2) {
                Some(there) => {
                    let Carried::Udp(udp) = carried else { panic!("{kept}: {carried:?}") };
                    assert_eq!((udp.payload, udp.len), (&b"q1"[..there], 2));
                    assert_eq!((udp.source.port(), udp.destination.port()), (4000, 53));
                }
                None => assert_eq!(name(carried), "cut", "{kept}"),
            }
            if missing > 0 {
                // A frame that never had the rest contradicts itself.
                assert_eq!(name(Carried::of(Layer::Ip, &packet[..kept], 0)), "other", "{kept}");
            }
        }
    }
}
