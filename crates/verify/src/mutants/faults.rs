//! The faults that are planted: what somebody could have written wrongly, as a change to each instruction that says it.

use std::net::{IpAddr, SocketAddr};

use weir_filters::{FilterName, Hook, Layer, Site, SuperPackets, cbpf::Insn};
use weir_wire::{
    Command,
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

use super::slot::{LDDW, Slot};
use crate::memory::Contents;

/// A fault.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) filter: FilterName,
    /// Which programs could have it, by the first header that they see.
    pub(super) layers: &'static [Layer],
    pub(super) kind: Kind,
}

/// Where a fault lies.
pub(super) enum Kind {
    /// In what its maps are given.
    Memory(fn(&mut Contents)),
    /// In the code: what becomes of an instruction among the others, at a hook; nothing where it isn't concerned.
    Code(fn(Hook, &[Slot], usize) -> Option<Slot>),
    /// In classic code: what becomes of an instruction.
    Classic(fn(Insn) -> Option<Insn>),
    /// In what the program is told of its place: it is loaded for another; nothing where that makes no difference.
    Site(fn(Site) -> Option<Site>),
}

pub(super) const ALL: &[Layer] = &[Layer::Udp, Layer::Ip, Layer::Ethernet];
const BELOW: &[Layer] = &[Layer::Ip, Layer::Ethernet];
const ETHERNET: &[Layer] = &[Layer::Ethernet];

use FilterName::{RobustValidCommand as Robust, ValidCommand as Valid};

pub(super) const fn code(
    name: &'static str,
    filter: FilterName,
    layers: &'static [Layer],
    change: fn(Hook, &[Slot], usize) -> Option<Slot>,
) -> Fault {
    Fault { name, filter, layers, kind: Kind::Code(change) }
}

const fn site(name: &'static str, change: fn(Site) -> Option<Site>) -> Fault {
    Fault { name, filter: Valid, layers: BELOW, kind: Kind::Site(change) }
}

/// All of them.
pub(super) const FAULTS: &[Fault] = &[
    code("PUT misspelt", Valid, ALL, |_, all, at| misspelt(Command::Put, all[at])),
    code("GET misspelt", Valid, ALL, |_, all, at| misspelt(Command::Get, all[at])),
    code("DELETE misspelt", Valid, ALL, |_, all, at| misspelt(Command::Delete, all[at])),
    code("STOP misspelt", Valid, ALL, |_, all, at| misspelt(Command::Stop, all[at])),
    code("the end of DELETE mistaken", Valid, ALL, |_, all, at| end_of_delete(all[at])),
    code("four letters compared of a word of three", Valid, ALL, |_, all, at| four_letters(all[at])),
    code("what accepts returns what drops", Valid, ALL, |hook, all, at| swapped_return(hook, all[at])),
    code("payload read one byte too far", Valid, &[Layer::Udp], |_, all, at| loads_further(all, at)),
    code("length of PUT off by one", Robust, ALL, |_, all, at| longer(Command::Put, all[at])),
    code("length of GET off by one", Robust, ALL, |_, all, at| longer(Command::Get, all[at])),
    code("length of DELETE off by one", Robust, ALL, |_, all, at| longer(Command::Delete, all[at])),
    code("length of STOP off by one", Robust, ALL, |_, all, at| longer(Command::Stop, all[at])),
    code("length in the wrong byte order", Robust, ALL, |_, all, at| unconverted(all[at])),
    code("VLAN tag not known", Valid, ETHERNET, |_, all, at| unknown(ethernet::VLAN, all[at])),
    code("service tag not known", Valid, ETHERNET, |_, all, at| unknown(ethernet::SERVICE_VLAN, all[at])),
    code("ethertype of IPv6 mistaken", Valid, ETHERNET, |_, all, at| unknown(ethernet::IPV6, all[at])),
    code("fragments not told from packets", Valid, BELOW, |_, all, at| unfragmented(all[at])),
    code("IPv4 options beyond eight bytes forgotten", Valid, BELOW, |_, all, at| short_header(all[at])),
    code("destination port read where the source port is", Valid, ETHERNET, |_, all, at| {
        field_before(all[at])
    }),
    code("length of extension headers signed", Valid, BELOW, |_, all, at| signed_length(all, at)),
    code("UDP's number mistaken", Valid, BELOW, |_, all, at| other_number(headers::UDP, all[at])),
    code("routing header not known", Valid, BELOW, |_, all, at| other_number(ipv6::ROUTING, all[at])),
    code("authentication header not known", Valid, BELOW, |_, all, at| {
        other_number(ipv6::AUTHENTICATION, all[at])
    }),
    site("port in the wrong byte order", |site| {
        let port = site.endpoint.port.swap_bytes();
        Some(with_endpoint(site, site.endpoint.address, port))
    }),
    site("last byte of the address mistaken", |site| {
        let address = match site.endpoint.address {
            address if address.is_unspecified() => return None,
            IpAddr::V4(address) => IpAddr::from((u32::from(address) ^ 1).to_be_bytes()),
            IpAddr::V6(address) => IpAddr::from((u128::from(address) ^ 1).to_be_bytes()),
        };
        Some(with_endpoint(site, address, site.endpoint.port))
    }),
    site("IPv6 forgotten where every address is meant", |site| {
        let is_any = site.endpoint.address.is_unspecified() && site.endpoint.address.is_ipv6();
        is_any.then(|| with_endpoint(site, IpAddr::from([0; 4]), site.endpoint.port))
    }),
    site("super-packets passed that are to be dropped", |site| {
        let is_told = site.hook == Hook::Tc && site.super_packets == SuperPackets::Drop;
        is_told.then_some(Site { super_packets: SuperPackets::Pass, ..site })
    }),
];

fn with_endpoint(site: Site, address: IpAddr, port: u16) -> Site {
    Site { endpoint: SocketAddr::new(address, port).into(), ..site }
}

/// The first four letters of a word as they are compared, the first one in the other case.
fn misspelt(command: Command, slot: Slot) -> Option<Slot> {
    const CASE: i32 = 0x20;
    let is_word = (slot.is_comparison() || slot.op == LDDW) && slot.imm == command.magic() as u32 as i32;
    is_word.then_some(Slot { imm: slot.imm ^ CASE, ..slot })
}

/// Letters five and six, in the upper half of a word of eight or by themselves.
fn end_of_delete(slot: Slot) -> Option<Slot> {
    let end = (Command::Delete.magic() >> 32) as i32;
    match slot {
        Slot { op: LDDW, upper, .. } if upper == end => Some(Slot { upper: end ^ 0x100, ..slot }),
        Slot { imm, .. } if slot.is_comparison() && imm == end => Some(Slot { imm: end ^ 0x100, ..slot }),
        _ => None,
    }
}

fn four_letters(slot: Slot) -> Option<Slot> {
    const AND: u8 = 0x50;
    let is_mask = slot.is_alu(AND) && slot.imm == Command::Get.mask() as i32;
    is_mask.then_some(Slot { imm: -1, ..slot })
}

/// Accept and drop at each hook (include/uapi/linux/bpf.h).
fn swapped_return(hook: Hook, slot: Slot) -> Option<Slot> {
    const MOV: u8 = 0xb0;
    let (accept, drop) = match hook {
        Hook::User | Hook::Socket => (-1, 0),
        Hook::Reuseport | Hook::Cgroup => (1, 0),
        Hook::Tc => (-1, 2),
        Hook::Xdp => (2, 1),
    };
    /// What is returned, where the value alone doesn't tell.
    const R0: u8 = 0;
    let is_returned = slot.destination() == R0 || accept != 1;
    (slot.is_alu(MOV) && slot.imm == accept && is_returned).then_some(Slot { imm: drop, ..slot })
}

/// The offset that a helper is given to load from.
fn loads_further(all: &[Slot], at: usize) -> Option<Slot> {
    const MOV: u8 = 0xb0;
    const CALL: u8 = 0x85;
    const SKB_LOAD_BYTES: i32 = 26;
    /// Instructions between an argument and its call, at most.
    const NEAR: usize = 16;
    let slot = all[at];
    let is_offset = slot.is_alu(MOV) && slot.destination() == 2 && slot.imm == udp::PAYLOAD_OFFSET as i32;
    let mut behind = all[at..].iter().take(NEAR);
    let is_loaded = behind.any(|other| other.op == CALL && other.imm == SKB_LOAD_BYTES);
    (is_offset && is_loaded).then_some(Slot { imm: slot.imm + 1, ..slot })
}

fn longer(command: Command, slot: Slot) -> Option<Slot> {
    let length = udp::length_field(command.request_len());
    compared(length, slot).map(|native| Slot { imm: in_order(length + 1, native), ..slot })
}

/// A conversion to network byte order that converts nothing (`be` to `le`, or no `bswap`).
fn unconverted(slot: Slot) -> Option<Slot> {
    const TO_LITTLE: u8 = 0xd4;
    matches!(slot.op, 0xdc | 0xd7).then_some(Slot { op: TO_LITTLE, ..slot })
}

fn unknown(ethertype: u16, slot: Slot) -> Option<Slot> {
    compared(ethertype, slot).map(|native| Slot { imm: in_order(ethertype ^ 0x0102, native), ..slot })
}

/// Masks of IPv4's and IPv6's fragment fields that let every bit pass.
fn unfragmented(slot: Slot) -> Option<Slot> {
    const AND: u8 = 0x50;
    let is_mask = [ipv4::FRAGMENT_MASK, ipv6::FRAGMENT_MASK]
        .into_iter()
        .any(|mask| slot.imm == i32::from(mask) || slot.imm == i32::from(mask.swap_bytes()));
    let is_used = slot.is_alu(AND) || matches!(slot.op, 0x45 | 0x46);
    (is_mask && is_used).then_some(Slot { imm: 0, ..slot })
}

/// The length of IPv4's header without its highest bit, in 4-byte words or in bytes.
fn short_header(slot: Slot) -> Option<Slot> {
    const AND: u8 = 0x50;
    let imm = match slot.imm {
        0xf => 0x7,
        0x3c => 0x1c,
        _ => return None,
    };
    slot.is_alu(AND).then_some(Slot { imm, ..slot })
}

/// Two bytes of the packet read from where a header begins, which the source port is, not from behind it.
fn field_before(slot: Slot) -> Option<Slot> {
    const LDXH: u8 = 0x69;
    const STACK: u8 = 10;
    let is_field = slot.op == LDXH && slot.off == udp::DESTINATION_OFFSET as i16 && slot.source() != STACK;
    is_field.then_some(Slot { off: 0, ..slot })
}

/// A byte loaded with its sign (`ldxsb`, Linux 6.6), where it is multiplied by the unit of an extension header's length.
fn signed_length(all: &[Slot], at: usize) -> Option<Slot> {
    const LDXB: u8 = 0x71;
    const LDXSB: u8 = 0x91;
    const SHIFT_LEFT: u8 = 0x60;
    /// Instructions between the load and the shift, at most.
    const NEAR: usize = 4;
    let slot = all[at];
    let is_unit = |other: &Slot| other.is_alu(SHIFT_LEFT) && matches!(other.imm, 2 | 3);
    let is_multiplied = all[at + 1..]
        .iter()
        .take(NEAR)
        .any(|other| is_unit(other) && other.destination() == slot.destination());
    (slot.op == LDXB && is_multiplied).then_some(Slot { op: LDXSB, ..slot })
}

fn other_number(number: u8, slot: Slot) -> Option<Slot> {
    let is_compared = slot.is_comparison() && slot.imm == i32::from(number);
    is_compared.then_some(Slot { imm: i32::from(number) ^ 0x80, ..slot })
}

/// Whether an instruction compares with a field's value, and if so whether in the machine's byte order, or in the
/// packet's.
fn compared(value: u16, slot: Slot) -> Option<bool> {
    let is = |native| slot.is_comparison() && slot.imm == in_order(value, native);
    [true, false].into_iter().find(|native| is(*native))
}

fn in_order(value: u16, native: bool) -> i32 {
    i32::from(if native { value } else { value.to_be() })
}
