//! Frames with checksums that are right, from the client's interface to the server's.

use std::net::IpAddr;

use weir_wire::{
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

/// Protocol numbers of ICMP, and of ICMP for IPv6.
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMP6: u8 = 58;
/// Ethertype of ARP.
const ARP: u16 = 0x0806;

pub(crate) type Mac = [u8; 6];

/// Where frames come from and go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) macs: (Mac, Mac),
    pub(crate) addresses: (IpAddr, IpAddr),
}

impl Path {
    /// An Ethernet frame around an IP packet.
    pub(crate) fn frame(&self, packet: &[u8]) -> Vec<u8> {
        let ethertype = if self.addresses.0.is_ipv4() { ethernet::IPV4 } else { ethernet::IPV6 };
        self.framed(ethertype, packet)
    }

    fn framed(&self, ethertype: u16, behind: &[u8]) -> Vec<u8> {
        [&self.macs.1[..], &self.macs.0, &ethertype.to_be_bytes(), behind].concat()
    }

    /// The same with a VLAN tag.
    pub(crate) fn tagged(&self, packet: &[u8]) -> Vec<u8> {
        let mut frame = self.frame(packet);
        let tag = [ethernet::VLAN.to_be_bytes(), 7_u16.to_be_bytes()].concat();
        frame.splice(ethernet::TYPE_OFFSET..ethernet::TYPE_OFFSET, tag);
        frame
    }

    /// Who has the server's address?
    pub(crate) fn arp(&self) -> Vec<u8> {
        let (from, to) = (octets(self.addresses.0), octets(self.addresses.1));
        let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
        self.framed(ARP, &[&fixed[..], &self.macs.0, &from, &[0; 6], &to].concat())
    }

    /// An IP packet, whole.
    pub(crate) fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        self.part(protocol, payload, 0)
    }

    /// A UDP packet to that port; `checksum` says whether it has one.
    pub(crate) fn udp(&self, port: u16, payload: &[u8], checksum: bool) -> Vec<u8> {
        let length = udp::length_field(payload.len());
        let header = [40_000, port, length, 0].map(u16::to_be_bytes).concat();
        let mut datagram = [&header, payload].concat();
        if checksum {
            let sum = self.upper_checksum(headers::UDP, &datagram);
            datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        datagram
    }

    /// A UDP packet whose length is 0, and whose checksum is right for as long as IP says it is (net/ipv6/udp.c).
    pub(crate) fn udp_without_length(&self, port: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = [&[40_000, port, 0, 0].map(u16::to_be_bytes).concat(), payload].concat();
        let sum = self.upper_checksum(headers::UDP, &datagram);
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        datagram
    }

    /// An IPv6 packet that says no length, behind a hop-by-hop header of padding.
    pub(crate) fn jumbo(&self, datagram: &[u8]) -> Vec<u8> {
        let options = [headers::UDP, 0, 1, 4, 0, 0, 0, 0];
        let mut packet = self.part(ipv6::HOP_BY_HOP, &[&options, datagram].concat(), 0);
        packet[ipv6::PAYLOAD_LENGTH_OFFSET..][..2].fill(0);
        packet
    }

    /// An ICMP message whose first bytes are those.
    pub(crate) fn icmp(&self, protocol: u8, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        let sum = if protocol == ICMP { checksum(&message) } else { self.upper_checksum(protocol, &message) };
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.packet(protocol, &message)
    }

    /// An IP packet in two fragments, the first of `at` bytes, a multiple of 8.
    pub(crate) fn fragments(&self, protocol: u8, payload: &[u8], at: usize) -> [Vec<u8>; 2] {
        let (first, last) = payload.split_at(at);
        let units = (at / 8) as u16;
        if self.addresses.0.is_ipv4() {
            return [self.part(protocol, first, 0x2000), self.part(protocol, last, units)];
        }
        [(first, 1), (last, units << 3)].map(|(part, place): (_, u16)| {
            let header = [&[protocol, 0][..], &place.to_be_bytes(), &[0, 0, 0, 9]].concat();
            self.part(ipv6::FRAGMENT, &[&header, part].concat(), 0)
        })
    }

    /// An IPv6 packet in which a datagram comes behind so many headers of options for its destination (RFC 8200, section
    /// 4.6), each of padding.
    pub(crate) fn behind_options(&self, headers: usize, datagram: &[u8]) -> Vec<u8> {
        let option = |next| vec![next, 0, 1, 4, 0, 0, 0, 0];
        let last = option(headers::UDP);
        let all = [option(ipv6::DESTINATION_OPTIONS).repeat(headers - 1), last, datagram.to_vec()].concat();
        self.part(ipv6::DESTINATION_OPTIONS, &all, 0)
    }

    /// `place` is IPv4's fragment field.
    fn part(&self, protocol: u8, payload: &[u8], place: u16) -> Vec<u8> {
        let (from, to) = (octets(self.addresses.0), octets(self.addresses.1));
        if self.addresses.0.is_ipv6() {
            let length = (payload.len() as u16).to_be_bytes();
            return [&[0x60, 0, 0, 0][..], &length, &[protocol, 255], &from, &to, payload].concat();
        }
        let total = ((ipv4::MIN_HEADER_LEN + payload.len()) as u16).to_be_bytes();
        let fixed = [&[0x45, 0][..], &total, &[0, 9], &place.to_be_bytes(), &[64, protocol, 0, 0]].concat();
        let mut header = [fixed, from, to].concat();
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [&header, payload].concat()
    }

    fn upper_checksum(&self, protocol: u8, datagram: &[u8]) -> u16 {
        let (from, to) = (octets(self.addresses.0), octets(self.addresses.1));
        let length = (datagram.len() as u32).to_be_bytes();
        checksum(&[&from[..], &to, &length, &[0, 0, 0, protocol], datagram].concat())
    }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > u32::from(u16::MAX) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
