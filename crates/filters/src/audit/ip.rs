//! From the IP header to the UDP header. It begins at the network header: the transport header's offset is unset, or
//! the network header's, for what is dropped before its layer (`__netif_receive_skb_core`, net/core/dev.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_asm::{Code, Reg};
use weir_asm_macros::ebpf;

use super::{
    FlowEnd,
    parts::{AuditParts, HEADER, UDP_AT, in_one_piece, read},
};

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
const IP_AT: Reg = Reg::R6;
/// Protocol number of the header at [`UDP_AT`].
const NEXT: Reg = Reg::R9;

/// Leads to `parts.udp`, with the UDP header's address in its register, to one of the other labels of `parts`, or past
/// its end where the family is none of the flow's.
pub(super) fn headers(code: &mut Code, parts: &AuditParts) {
    ebpf! { in code;
        ldxh r9, [r10 + {parts.skb.at(|skb| skb.protocol)}]
        be16 r9
    }
    for ip in parts.flow.ips() {
        let next = code.fresh_label();
        match ip {
            IpAddr::V4(address) => {
                ebpf! { in code; jne r9, $IPV4, $next }
                ipv4(code, parts, address);
            }
            IpAddr::V6(address) => {
                ebpf! { in code; jne r9, $IPV6, $next }
                ipv6(code, parts, address);
            }
        }
        ebpf! { in code; $next: }
    }
    ebpf! { in code; ja {parts.out} }
}

/// RFC 791, section 3.1.
fn ipv4(code: &mut Code, parts: &AuditParts, address: Ipv4Addr) {
    ip_header(code, parts, 20, 4);
    ebpf! { in code;
        ldxb r1, [r10 + {HEADER + 9}]
        jne r1, $UDP, {parts.out}
    }
    if !address.is_unspecified() {
        ebpf! { in code;
            ldxw r1, [r10 + {HEADER + address_at(parts, 12, 4)}]
            be32 r1
            jne32 r1, {u32::from(address) as i32}, {parts.out}
        }
    }
    ebpf! { in code;
        ldxh r1, [r10 + {HEADER + 6}]
        be16 r1
        and r1, 0x1fff
        jne r1, 0, {parts.fragment}
        ldxb $UDP_AT, [r10 + $HEADER]
        and $UDP_AT, 0xf
        lsh $UDP_AT, 2
        jlt $UDP_AT, 20, {parts.unreadable}
        add $UDP_AT, $IP_AT
        ja {parts.udp}
    }
}

/// RFC 8200, section 3.
fn ipv6(code: &mut Code, parts: &AuditParts, address: Ipv6Addr) {
    ip_header(code, parts, 40, 6);
    if !address.is_unspecified() {
        let (upper, lower) = ((u128::from(address) >> 64) as u64, u128::from(address) as u64);
        for (half, at) in [(upper, 0), (lower, 8)] {
            ebpf! { in code;
                ldxdw r1, [r10 + {HEADER + address_at(parts, 8, 16) + at}]
                be64 r1
                lddw r2, $half
                jne r1, r2, {parts.out}
            }
        }
    }
    ebpf! { in code;
        ldxb $NEXT, [r10 + {HEADER + 6}]
        mov $UDP_AT, $IP_AT
        add $UDP_AT, 40
    }
    for _ in 0..MOST_EXTENSIONS {
        extension(code, parts);
    }
    ebpf! { in code;
        jeq $NEXT, $UDP, {parts.udp}
        ja {parts.unreadable}
    }
}

/// Passes one extension header; leaves where there is none.
fn extension(code: &mut Code, parts: &AuditParts) {
    let [options, fragment, passed] = [(); 3].map(|()| code.fresh_label());
    ebpf! { in code;
        jeq $NEXT, $UDP, {parts.udp}
        jeq $NEXT, $FRAGMENT, $fragment
    }
    for number in EXTENSIONS {
        ebpf! { in code; jeq $NEXT, $number, $options }
    }
    ebpf! { in code;
        ja {parts.out}
    $options:
    }
    extension_header(code, parts);
    ebpf! { in code;
        ldxb r1, [r10 + {HEADER + 1}]
        add r1, 1
        lsh r1, 3
        add $UDP_AT, r1
        ja $passed
    $fragment:
    }
    extension_header(code, parts);
    ebpf! { in code;
        ldxh r1, [r10 + {HEADER + 2}]
        be16 r1
        and r1, 0xfff8
        jne r1, 0, {parts.fragment}
        add $UDP_AT, 8
    $passed:
    }
}

/// The first bytes of the extension header, and what stands behind it.
fn extension_header(code: &mut Code, parts: &AuditParts) {
    in_one_piece(code, parts, UDP_AT, 8);
    ebpf! { in code; mov r3, $UDP_AT }
    read(code, HEADER, 4, parts.unreadable);
    ebpf! { in code; ldxb $NEXT, [r10 + $HEADER] }
}

/// Reads the `len` bytes of the IP header that are always there, of that version.
fn ip_header(code: &mut Code, parts: &AuditParts, len: i32, version: i32) {
    ebpf! { in code;
        ldxh $IP_AT, [r10 + {parts.skb.at(|skb| skb.network_header)}]
        // No packet has its header where its memory begins: the offset has not been set yet.
        jeq $IP_AT, 0, {parts.unreadable}
        ldxdw r1, [r10 + {parts.skb.at(|skb| skb.head)}]
        add $IP_AT, r1
    }
    in_one_piece(code, parts, IP_AT, len);
    ebpf! { in code; mov r3, $IP_AT }
    read(code, HEADER, len, parts.unreadable);
    ebpf! { in code;
        ldxb r1, [r10 + $HEADER]
        rsh r1, 4
        jne r1, $version, {parts.unreadable}
    }
}

/// Where the flow's address stands, when the source's does at `source` and has `len` bytes.
fn address_at(parts: &AuditParts, source: i16, len: i16) -> i16 {
    match parts.flow.end {
        FlowEnd::Source => source,
        FlowEnd::Destination => source + len,
    }
}
