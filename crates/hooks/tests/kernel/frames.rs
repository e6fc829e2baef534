//! Frames to compare programs below the socket on: what they must read, what they must leave alone, and damage.

use std::net::{IpAddr, SocketAddr};

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use weir_filters::{Layer, corpus};
use weir_wire::{
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

/// Frames without end from that layer's header on, most of them for `server`; the same for the same seed.
pub(crate) fn frames(seed: u64, layer: Layer, server: SocketAddr) -> impl Iterator<Item = Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(seed);
    corpus::packets(seed).step_by(37).map(move |mut packet| {
        if let Some(port) = packet.get_mut(udp::DESTINATION_OFFSET..udp::LENGTH_OFFSET)
            && rng.random_bool(0.9)
        {
            port.copy_from_slice(&server.port().to_be_bytes());
        }
        if packet.len() >= udp::HEADER_LEN && rng.random_bool(0.7) {
            let length = packet.len() as u16;
            packet[udp::LENGTH_OFFSET..udp::PAYLOAD_OFFSET - 2].copy_from_slice(&length.to_be_bytes());
        }
        let (ethertype, mut bytes) = in_ip(&mut rng, server.ip(), &packet);
        if layer == Layer::Ethernet {
            bytes = in_ethernet(&mut rng, ethertype, &bytes);
        }
        damage(&mut rng, &mut bytes, layer);
        bytes
    })
}

/// Behind an IP header to `to`, of its version mostly, and that version's ethertype.
fn in_ip(rng: &mut StdRng, to: IpAddr, packet: &[u8]) -> (u16, Vec<u8>) {
    let protocol = if rng.random_bool(0.95) { headers::UDP } else { rng.random() };
    match to {
        IpAddr::V4(to) if rng.random_bool(0.95) => {
            (ethernet::IPV4, in_ipv4(rng, to.octets(), protocol, packet))
        }
        IpAddr::V6(to) if rng.random_bool(0.7) => {
            (ethernet::IPV6, in_ipv6(rng, to.octets(), protocol, packet))
        }
        IpAddr::V4(_) => (ethernet::IPV6, in_ipv6(rng, [0; 16], protocol, packet)),
        IpAddr::V6(_) => (ethernet::IPV4, in_ipv4(rng, [10, 0, 0, 1], protocol, packet)),
    }
}

fn in_ipv4(rng: &mut StdRng, to: [u8; 4], protocol: u8, packet: &[u8]) -> Vec<u8> {
    let options = if rng.random_bool(0.7) { 0 } else { rng.random_range(0..=10) };
    let header_len = ipv4::MIN_HEADER_LEN + 4 * options;
    let mut bytes = vec![0; header_len];
    rng.fill_bytes(&mut bytes[ipv4::MIN_HEADER_LEN..]);
    bytes[ipv4::VERSION_OFFSET] = 0x40 | (header_len / 4) as u8;
    put_u16(&mut bytes, ipv4::TOTAL_LENGTH_OFFSET, (header_len + packet.len()) as u16);
    let fragment = *[0, 0, 0, 0x4000, 0x4000, 0x8000, 0x2000, 1].choose(rng).expect("there are some");
    put_u16(&mut bytes, ipv4::FRAGMENT_OFFSET, fragment);
    bytes[ipv4::PROTOCOL_OFFSET] = protocol;
    bytes[ipv4::DESTINATION_OFFSET..][..4].copy_from_slice(&to);
    bytes.extend(packet);
    bytes
}

fn in_ipv6(rng: &mut StdRng, to: [u8; 16], protocol: u8, packet: &[u8]) -> Vec<u8> {
    let mut next = protocol;
    let mut carried = packet.to_vec();
    for _ in 0..if rng.random_bool(0.6) { 0 } else { rng.random_range(0..=ipv6::MAX_EXTENSIONS + 1) } {
        let kinds = [
            ipv6::HOP_BY_HOP,
            ipv6::ROUTING,
            ipv6::FRAGMENT,
            ipv6::AUTHENTICATION,
            ipv6::DESTINATION_OPTIONS,
        ];
        let kind = *kinds.choose(rng).expect("there are some");
        let units: u8 = if kind == ipv6::FRAGMENT { rng.random() } else { rng.random_range(0..4) };
        let len = match kind {
            ipv6::FRAGMENT => ipv6::FRAGMENT_LEN,
            ipv6::AUTHENTICATION => 4 * (usize::from(units) + 2),
            _ => 8 * (usize::from(units) + 1),
        };
        let mut extension = vec![0; len];
        if rng.random_bool(0.1) {
            rng.fill_bytes(&mut extension);
        }
        extension[0] = next;
        extension[ipv6::EXTENSION_LENGTH_OFFSET] = units;
        extension.extend(carried);
        carried = extension;
        next = kind;
    }
    let mut bytes = vec![0; ipv6::HEADER_LEN];
    bytes[0] = 0x60;
    put_u16(&mut bytes, ipv6::PAYLOAD_LENGTH_OFFSET, carried.len() as u16);
    bytes[ipv6::NEXT_HEADER_OFFSET] = next;
    bytes[ipv6::DESTINATION_OFFSET..][..16].copy_from_slice(&to);
    bytes.extend(carried);
    bytes
}

fn in_ethernet(rng: &mut StdRng, ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02; ethernet::TYPE_OFFSET];
    for _ in 0..if rng.random_bool(0.6) { 0 } else { rng.random_range(0..=ethernet::MAX_TAGS + 1) } {
        let tag = if rng.random() { ethernet::VLAN } else { ethernet::SERVICE_VLAN };
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 1]);
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    if rng.random_bool(0.3) {
        // What pads a short frame may be anything.
        frame.resize(frame.len().max(60), b'P');
    }
    frame
}

/// A bit or a byte changed, the end cut off: in a third of the frames.
fn damage(rng: &mut StdRng, bytes: &mut Vec<u8>, layer: Layer) {
    let headers = bytes.len().min(if layer == Layer::Ethernet { 80 } else { 60 });
    match rng.random_range(0..9) {
        0 => bytes[rng.random_range(0..headers)] ^= 1 << rng.random_range(0..8),
        1 => bytes[rng.random_range(0..headers)] = rng.random(),
        2 => bytes.truncate(rng.random_range(1..=bytes.len())),
        _ => {}
    }
}

fn put_u16(bytes: &mut [u8], offset: usize, value: u16) {
    bytes[offset..][..2].copy_from_slice(&value.to_be_bytes());
}
