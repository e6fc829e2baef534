//! From the IP header to the UDP header. It begins at the network header: the transport header's offset is unset, or
//! the network header's, for what is dropped before its layer (`__netif_receive_skb_core`, net/core/dev.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_asm::{Bits, Code, Reg, Reg::*, op::*};

use super::{
    FlowEnd,
    program::{HEADER, Parts, UDP_AT, in_one_piece, read},
};
use crate::fun::here;

/// Ethertypes (IEEE 802 numbers, IANA).
const IPV4: i32 = 0x0800;
const IPV6: i32 = 0x86dd;

/// Protocol numbers (IANA).
const UDP: i32 = 17;
const FRAGMENT: i32 = 44;
/// Hop-by-hop options, routing, destination options: the second byte is the length, in 8 bytes behind the first 8
/// (RFC 8200).
const EXTENSIONS: [i32; 3] = [0, 43, 60];
/// Extension headers that are walked through; each may come once, destination options twice (RFC 8200, section 4.1).
const MOST_EXTENSIONS: usize = 5;

/// Address of the IP header.
const IP_AT: Reg = R6;
/// Protocol number of the header at [`UDP_AT`].
const NEXT: Reg = R9;

/// Leads to `parts.udp`, with the UDP header's address in its register, to one of the other labels of `parts`, or past
/// its end where the family is none of the flow's.
pub(super) fn headers(code: &mut Code, parts: &Parts) {
    *code += ldxh(R9, R10 + parts.skb.at(|skb| skb.protocol));
    *code += be(Bits::B16, R9);
    for ip in parts.flow.ips() {
        let next = code.fresh_label();
        match ip {
            IpAddr::V4(address) => {
                *code += jne(R9, IPV4, next);
                ipv4(code, parts, address);
            }
            IpAddr::V6(address) => {
                *code += jne(R9, IPV6, next);
                ipv6(code, parts, address);
            }
        }
        here(code, next);
    }
    *code += ja(parts.out);
}

/// RFC 791, section 3.1.
fn ipv4(code: &mut Code, parts: &Parts, address: Ipv4Addr) {
    ip_header(code, parts, 20, 4);
    *code += ldxb(R1, R10 + (HEADER + 9));
    *code += jne(R1, UDP, parts.out);
    if !address.is_unspecified() {
        *code += ldxw(R1, R10 + (HEADER + address_at(parts, 12, 4)));
        *code += be(Bits::B32, R1);
        *code += jne32(R1, u32::from(address) as i32, parts.out);
    }
    *code += ldxh(R1, R10 + (HEADER + 6));
    *code += be(Bits::B16, R1);
    *code += and(R1, 0x1fff);
    *code += jne(R1, 0, parts.fragment);
    *code += ldxb(UDP_AT, R10 + HEADER);
    *code += and(UDP_AT, 0xf);
    *code += lsh(UDP_AT, 2);
    *code += jlt(UDP_AT, 20, parts.unreadable);
    *code += add(UDP_AT, IP_AT);
    *code += ja(parts.udp);
}

/// RFC 8200, section 3.
fn ipv6(code: &mut Code, parts: &Parts, address: Ipv6Addr) {
    ip_header(code, parts, 40, 6);
    if !address.is_unspecified() {
        let (upper, lower) = ((u128::from(address) >> 64) as u64, u128::from(address) as u64);
        for (half, at) in [(upper, 0), (lower, 8)] {
            *code += ldxdw(R1, R10 + (HEADER + address_at(parts, 8, 16) + at));
            *code += be(Bits::B64, R1);
            *code += lddw(R2, half);
            *code += jne(R1, R2, parts.out);
        }
    }
    *code += ldxb(NEXT, R10 + (HEADER + 6));
    *code += mov(UDP_AT, IP_AT);
    *code += add(UDP_AT, 40);
    for _ in 0..MOST_EXTENSIONS {
        extension(code, parts);
    }
    *code += jeq(NEXT, UDP, parts.udp);
    *code += ja(parts.unreadable);
}

/// Passes one extension header; leaves where there is none.
fn extension(code: &mut Code, parts: &Parts) {
    let [options, fragment, passed] = [(); 3].map(|()| code.fresh_label());
    *code += jeq(NEXT, UDP, parts.udp);
    *code += jeq(NEXT, FRAGMENT, fragment);
    for number in EXTENSIONS {
        *code += jeq(NEXT, number, options);
    }
    *code += ja(parts.out);

    here(code, options);
    extension_header(code, parts);
    *code += ldxb(R1, R10 + (HEADER + 1));
    *code += add(R1, 1);
    *code += lsh(R1, 3);
    *code += add(UDP_AT, R1);
    *code += ja(passed);

    here(code, fragment);
    extension_header(code, parts);
    *code += ldxh(R1, R10 + (HEADER + 2));
    *code += be(Bits::B16, R1);
    *code += and(R1, 0xfff8);
    *code += jne(R1, 0, parts.fragment);
    *code += add(UDP_AT, 8);
    here(code, passed);
}

/// The first bytes of the extension header, and what stands behind it.
fn extension_header(code: &mut Code, parts: &Parts) {
    in_one_piece(code, parts, UDP_AT, 8);
    *code += mov(R3, UDP_AT);
    read(code, HEADER, 4, parts.unreadable);
    *code += ldxb(NEXT, R10 + HEADER);
}

/// Reads the `len` bytes of the IP header that are always there, of that version.
fn ip_header(code: &mut Code, parts: &Parts, len: i32, version: i32) {
    *code += ldxh(IP_AT, R10 + parts.skb.at(|skb| skb.network_header));
    // No packet has its header where its memory begins: the offset has not been set yet.
    *code += jeq(IP_AT, 0, parts.unreadable);
    *code += ldxdw(R1, R10 + parts.skb.at(|skb| skb.head));
    *code += add(IP_AT, R1);
    in_one_piece(code, parts, IP_AT, len);
    *code += mov(R3, IP_AT);
    read(code, HEADER, len, parts.unreadable);
    *code += ldxb(R1, R10 + HEADER);
    *code += rsh(R1, 4);
    *code += jne(R1, version, parts.unreadable);
}

/// Where the flow's address stands, when the source's does at `source` and has `len` bytes.
fn address_at(parts: &Parts, source: i16, len: i16) -> i16 {
    match parts.flow.end {
        FlowEnd::Source => source,
        FlowEnd::Destination => source + len,
    }
}
