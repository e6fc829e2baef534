//! The faults that are planted: what somebody could have written wrongly, as a change to each instruction that says it.

use std::net::{IpAddr, SocketAddr};

use weir_asm::{AluOp, Call, Cond, EndOp, Imm64, Insn, Mem, Reg, Size, Src, SxSize};
use weir_filters::{FilterName, GsoView, Hook, Layer, Site, SuperPackets, cbpf};
use weir_wire::{
    Command,
    headers::{self, ethernet, ipv4, ipv6},
    udp,
};

use super::code::{alu, compared, with_imm};
use crate::memory::Contents;

/// A fault.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) filter: FilterName,
    /// Which programs could have it, by the first header that they see.
    pub(super) layers: &'static [Layer],
    pub(super) kind: FaultKind,
}

/// Where a fault lies.
pub(super) enum FaultKind {
    /// In what its maps are given.
    Memory(fn(&mut Contents)),
    /// In the code: what becomes of an instruction among the others, at a hook; nothing where it isn't concerned.
    Code(fn(Hook, &[Insn], usize) -> Option<Insn>),
    /// In classic code: what becomes of an instruction.
    Classic(fn(cbpf::ClassicInsn) -> Option<cbpf::ClassicInsn>),
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
    change: fn(Hook, &[Insn], usize) -> Option<Insn>,
) -> Fault {
    Fault { name, filter, layers, kind: FaultKind::Code(change) }
}

const fn site(name: &'static str, change: fn(Site) -> Option<Site>) -> Fault {
    Fault { name, filter: Valid, layers: BELOW, kind: FaultKind::Site(change) }
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
        let is_told = site.hook.gso() == GsoView::Told && site.super_packets == SuperPackets::Drop;
        is_told.then_some(Site { super_packets: SuperPackets::Pass, ..site })
    }),
];

fn with_endpoint(site: Site, address: IpAddr, port: u16) -> Site {
    Site { endpoint: SocketAddr::new(address, port).into(), ..site }
}

/// The first four letters of a word as they are compared, the first one in the other case.
fn misspelt(command: Command, insn: Insn) -> Option<Insn> {
    const CASE: i32 = 0x20;
    let magic = command.magic() as u32 as i32;
    match insn {
        Insn::LoadImm { dst, imm: Imm64::Value(word) } if word as i32 == magic => {
            Some(Insn::LoadImm { dst, imm: Imm64::Value(word ^ CASE as u64) })
        }
        _ => compared(insn).filter(|imm| *imm == magic).map(|imm| with_imm(insn, imm ^ CASE)),
    }
}

/// Letters five and six, in the upper half of a word of eight or by themselves.
fn end_of_delete(insn: Insn) -> Option<Insn> {
    const LETTER: i32 = 0x100;
    let end = (Command::Delete.magic() >> 32) as i32;
    match insn {
        Insn::LoadImm { dst, imm: Imm64::Value(word) } if (word >> 32) as i32 == end => {
            Some(Insn::LoadImm { dst, imm: Imm64::Value(word ^ ((LETTER as u64) << 32)) })
        }
        _ => compared(insn).filter(|imm| *imm == end).map(|imm| with_imm(insn, imm ^ LETTER)),
    }
}

fn four_letters(insn: Insn) -> Option<Insn> {
    let (_, mask) = alu(insn, AluOp::And)?;
    (mask == Command::Get.mask() as i32).then(|| with_imm(insn, -1))
}

/// Accept and drop at each hook.
fn swapped_return(hook: Hook, insn: Insn) -> Option<Insn> {
    let (accept, drop) = hook.returns();
    let (dst, imm) = alu(insn, AluOp::Mov)?;
    // What is returned, where the value alone doesn't tell.
    let is_returned = dst == Reg::R0 || accept != 1;
    (imm == accept && is_returned).then(|| with_imm(insn, drop))
}

/// The offset that a helper is given to load from.
fn loads_further(all: &[Insn], at: usize) -> Option<Insn> {
    const SKB_LOAD_BYTES: Insn = Insn::Call(Call::Helper(26));
    /// Instructions between an argument and its call, at most.
    const NEAR: usize = 16;
    let is_offset = alu(all[at], AluOp::Mov) == Some((Reg::R2, udp::PAYLOAD_OFFSET as i32));
    let is_loaded = all[at..].iter().take(NEAR).any(|other| *other == SKB_LOAD_BYTES);
    (is_offset && is_loaded).then(|| with_imm(all[at], udp::PAYLOAD_OFFSET as i32 + 1))
}

fn longer(command: Command, insn: Insn) -> Option<Insn> {
    let length = udp::length_field(command.request_len());
    is_native(length, insn).map(|native| with_imm(insn, in_order(length + 1, native)))
}

/// A conversion to network byte order that converts nothing (`be` to `le`, or no `bswap`).
fn unconverted(insn: Insn) -> Option<Insn> {
    match insn {
        Insn::End { op: EndOp::Be | EndOp::Swap, bits, dst } => Some(Insn::End { op: EndOp::Le, bits, dst }),
        _ => None,
    }
}

fn unknown(ethertype: u16, insn: Insn) -> Option<Insn> {
    is_native(ethertype, insn).map(|native| with_imm(insn, in_order(ethertype ^ 0x0102, native)))
}

/// Masks of IPv4's and IPv6's fragment fields that let every bit pass.
fn unfragmented(insn: Insn) -> Option<Insn> {
    let tested = match insn {
        Insn::Jump { cond: Cond::Set, src: Src::Imm(imm), .. } => imm,
        _ => alu(insn, AluOp::And)?.1,
    };
    let mut masks = [ipv4::FRAGMENT_MASK, ipv6::FRAGMENT_MASK].into_iter();
    let is_mask = masks.any(|mask| tested == i32::from(mask) || tested == i32::from(mask.swap_bytes()));
    is_mask.then(|| with_imm(insn, 0))
}

/// The length of IPv4's header without its highest bit, in 4-byte words or in bytes.
fn short_header(insn: Insn) -> Option<Insn> {
    let mask = match alu(insn, AluOp::And)?.1 {
        0xf => 0x7,
        0x3c => 0x1c,
        _ => return None,
    };
    Some(with_imm(insn, mask))
}

/// Two bytes of the packet read from where a header begins, which the source port is, not from behind it.
fn field_before(insn: Insn) -> Option<Insn> {
    match insn {
        Insn::Load { size: Size::H, dst, mem: Mem { base, off } }
            if off == udp::DESTINATION_OFFSET as i16 && base != Reg::R10 =>
        {
            Some(Insn::Load { size: Size::H, dst, mem: Mem { base, off: 0 } })
        }
        _ => None,
    }
}

/// A byte loaded with its sign (Linux 6.6), where it is multiplied by the unit of an extension header's length.
fn signed_length(all: &[Insn], at: usize) -> Option<Insn> {
    /// Instructions between the load and the shift, at most.
    const NEAR: usize = 4;
    let Insn::Load { size: Size::B, dst, mem } = all[at] else { return None };
    let is_unit = |other: &Insn| matches!(alu(*other, AluOp::Lsh), Some((shifted, 2 | 3)) if shifted == dst);
    let is_multiplied = all[at + 1..].iter().take(NEAR).any(is_unit);
    is_multiplied.then_some(Insn::LoadSx { size: SxSize::B, dst, mem })
}

fn other_number(number: u8, insn: Insn) -> Option<Insn> {
    let is_compared = compared(insn) == Some(i32::from(number));
    is_compared.then(|| with_imm(insn, i32::from(number) ^ 0x80))
}

/// Whether an instruction compares with a field's value, and if so whether in the machine's byte order, or in the
/// packet's.
fn is_native(value: u16, insn: Insn) -> Option<bool> {
    let imm = compared(insn)?;
    [true, false].into_iter().find(|native| imm == in_order(value, *native))
}

fn in_order(value: u16, native: bool) -> i32 {
    i32::from(if native { value } else { value.to_be() })
}
