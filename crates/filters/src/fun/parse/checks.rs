//! Comparisons of header fields with what is known when the program is made; both ways through the headers use them.

use std::net::IpAddr;

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::Party;
use weir_wire::{
    Command,
    headers::{ethernet, ipv4},
    udp,
};

use super::{IpVersion, LENGTH, PacketParser};
use crate::Layer;

/// The field `offset` bytes behind the header's start.
pub(super) const fn field(header: Mem, offset: usize) -> Mem {
    Mem { base: header.base, off: header.off + offset as i16 }
}

/// What a load of a big-endian field of two bytes gives on this machine, for which programs are made.
pub(in crate::fun) fn half(value: u16) -> i32 {
    value.to_be().into()
}

/// The same of up to four bytes, with zeros behind them.
pub(in crate::fun) fn word(bytes: impl IntoIterator<Item = u8>) -> i32 {
    let mut word = [0; size_of::<u32>()];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = from;
    }
    i32::from_ne_bytes(word)
}

/// r1 and more are lost; on at `other` where a field isn't the server's.
impl PacketParser<'_> {
    /// Ethernet has said which version it is; IP's own first byte, in r1, must say so too.
    pub(super) fn check_version(&self, code: &mut Code, version: &IpVersion, otherwise: Label) {
        ebpf! { in code;
            rsh r1, 4
            jne r1, {version.number}, $otherwise
        }
    }

    /// An unfragmented packet for the server's address; on at `fragment` where it is a fragment.
    pub(super) fn check_ip(&self, code: &mut Code, version: &IpVersion, ip: Mem, fragment: Label) {
        if version.number == IpVersion::V4.number {
            ebpf! { in code;
                ldxh r1, [{field(ip, ipv4::FRAGMENT_OFFSET)}]
                jset r1, {half(ipv4::FRAGMENT_MASK)}, $fragment
            }
        }
        self.check_address(code, version, ip);
    }

    /// A packet for the server's address.
    pub(super) fn check_address(&self, code: &mut Code, version: &IpVersion, ip: Mem) {
        let words: Vec<[u8; 4]> = match self.address() {
            Some(IpAddr::V4(address)) => vec![address.octets()],
            Some(IpAddr::V6(address)) => address.octets().as_chunks().0.to_vec(),
            None => Vec::new(),
        };
        for (number, bytes) in words.into_iter().enumerate() {
            let offset = match self.by {
                Party::Client => version.destination_offset,
                Party::Service => version.source_offset,
            };
            let offset = offset + number * bytes.len();
            ebpf! { in code;
                ldxw r1, [{field(ip, offset)}]
                jne32 r1, {word(bytes)}, {self.other}
            }
        }
    }

    /// The server's port; [`LENGTH`] is the length field's value.
    pub(super) fn check_udp(&self, code: &mut Code, udp: Mem) {
        self.check_port(code, udp);
        ebpf! { in code;
            ldxh $LENGTH, [{field(udp, udp::LENGTH_OFFSET)}]
            be16 $LENGTH
        }
    }

    pub(super) fn check_port(&self, code: &mut Code, udp: Mem) {
        let offset = match self.by {
            Party::Client => udp::DESTINATION_OFFSET,
            Party::Service => udp::SOURCE_OFFSET,
        };
        ebpf! { in code;
            ldxh r1, [{field(udp, offset)}]
            jne r1, {half(self.site.endpoint.port)}, {self.other}
        }
    }

    /// On at the super packet's end where the packet is one.
    pub(super) fn check_segments(&self, code: &mut Code) {
        if let Some(gso_size) = self.gso_size {
            ebpf! { in code;
                ldxw r1, [$gso_size]
                jne r1, 0, {self.super_packet}
            }
        }
    }

    /// Where the IP header begins in a packet without VLAN tags.
    pub(super) fn ip_offset(&self) -> usize {
        match self.site.hook.layer() {
            Layer::Ethernet => ethernet::HEADER_LEN,
            Layer::Ip | Layer::Udp => 0,
        }
    }

    /// `to` = what the packet says of its length: of all of it in IPv4, without the header in IPv6.
    pub(super) fn ip_length(&self, code: &mut Code, version: &IpVersion, ip: Mem, to: Reg) {
        ebpf! { in code;
            ldxh $to, [{field(ip, version.length_offset)}]
            be16 $to
        }
    }
}

/// Length of the shortest command's word.
pub(super) fn shortest_word() -> usize {
    Command::ALL.iter().map(|command| command.word().len()).min().unwrap_or_default()
}

/// Length of the longest command's word.
pub(super) fn longest_word() -> usize {
    Command::ALL.iter().map(|command| command.word().len()).max().unwrap_or_default()
}
