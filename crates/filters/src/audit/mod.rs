//! The audit: a program that counts why the kernel drops the packets of one flow, generated for the kernel that runs.
//!
//! It is a raw tracepoint program on `kfree_skb` (include/trace/events/skb.h), which the kernel calls with each packet
//! that it frees without having delivered it, and with the reason. Fields are read at offsets that the caller found
//! in the kernel's own types, so that no header and no compiler is needed.

mod ip;
mod parts;
mod program;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
};

use serde::{Deserialize, Serialize};
use weir_asm::{
    Object, Program,
    maps::{MapSpec, PerCpuArray},
};

use crate::fun::{LICENSE, with_listing};

/// The tracepoint, as BPF_RAW_TRACEPOINT_OPEN takes it.
pub const TRACEPOINT: &str = "kfree_skb";

/// The program's name in its object.
pub const PROGRAM: &str = "audit_drops";

/// Name of the map with the counts: a per-CPU array of one `[u64; SLOTS]`.
pub const DROPS: MapSpec<PerCpuArray<[u64; SLOTS]>> = MapSpec::new("drops", 1);

/// How many counts there are.
pub const SLOTS: usize = 256;

/// Packets dropped for reason `n` are counted in slot `n`, for `n` below this; the kernel has about 130.
pub const REASONS: usize = 252;

/// Packets dropped for any other reason: those of kernel subsystems such as mac80211 have numbers from 65536 on.
pub const OTHER_REASON: usize = REASONS;

/// Packets that were freed because their socket closed while they waited in its receive buffer.
pub const UNREAD: usize = REASONS + 1;

/// UDP fragments other than first ones with the flow's address: they have no port.
pub const FRAGMENTS: usize = REASONS + 2;

/// Packets of the flow's protocol family whose headers the program could not read, so that it can't say whose they are.
pub const UNREADABLE: usize = REASONS + 3;

/// Which end of a flow is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowEnd {
    /// Where packets come from, as the replies of a server.
    Source,
    /// Where packets go, as the requests to a server.
    Destination,
}

/// UDP packets that have one address and port in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The end that the address is of.
    pub end: FlowEnd,
    /// The address. An unspecified one means any: `0.0.0.0` any of IPv4, `::` any of both families, as sockets that
    /// are bound so receive.
    pub address: SocketAddr,
}

impl Flow {
    /// Packets to an address.
    pub const fn to(address: SocketAddr) -> Self {
        Self { end: FlowEnd::Destination, address }
    }

    /// Packets from an address.
    pub const fn from(address: SocketAddr) -> Self {
        Self { end: FlowEnd::Source, address }
    }

    /// The addresses to compare with, at most one of each family.
    fn ips(&self) -> Vec<IpAddr> {
        match self.address.ip().to_canonical() {
            IpAddr::V6(any) if any.is_unspecified() => vec![Ipv4Addr::UNSPECIFIED.into(), any.into()],
            one => vec![one],
        }
    }
}

/// Where the running kernel keeps what the program reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLayout {
    /// Which arguments the tracepoint has.
    pub arguments: Arguments,
    /// Offsets in `struct sk_buff`, bytes.
    pub skb: SkbOffsets,
    /// Offset of the 2 bytes of `gso_segs` in `struct skb_shared_info`.
    pub gso_segs: u16,
    /// Addresses of code that frees packets, where they are known.
    pub code: FreeingCode,
}

/// Addresses of functions that free packets: what is freed there means something else than a drop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeingCode {
    /// Frees what a closing UDP socket still holds (`udp_destruct_common`, net/ipv4/udp.c): [`UNREAD`] counts it.
    pub closing_socket: Option<Range<u64>>,
    /// Frees the parts of a packet with the packet itself, which the kernel reports on its own, and reports them as
    /// dropped even where the packet was read (`skb_release_data`, net/core/skbuff.c): they are not counted.
    pub parts: Option<Range<u64>>,
}

/// Positions of the tracepoint's arguments, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The packet.
    pub skb: u8,
    /// The address of the code that frees it; it stands behind the packet on every kernel.
    pub location: u8,
    /// The reason (Linux 5.17).
    pub reason: u8,
}

/// Offsets of the fields of `struct sk_buff` (include/linux/skbuff.h), bytes. The program reads them at once, so that
/// they must lie within 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkbOffsets {
    /// 2 bytes, big-endian: the ethertype.
    pub protocol: u16,
    /// 2 bytes: of the IP header, from `head`.
    pub network_header: u16,
    /// 4 bytes: end of what is in one piece, from `head`.
    pub tail: u16,
    /// 4 bytes: of the `skb_shared_info`, from `head`.
    pub end: u16,
    /// 8 bytes: where the packet's memory begins.
    pub head: u16,
}

/// The program for a flow on a kernel, alone in its object with its map.
///
/// # Panics
/// Where the offsets of `layout.skb` are not within 256 bytes.
pub fn object(flow: Flow, layout: &KernelLayout) -> Object {
    let program = Program {
        name: PROGRAM.to_owned(),
        section: format!("raw_tp/{TRACEPOINT}"),
        code: program::code(flow, layout),
        ..Program::default()
    };
    let object =
        Object { license: Some(LICENSE.to_owned()), maps: vec![DROPS.definition()], programs: vec![program] };
    with_listing("audit.asm", &object)
}
