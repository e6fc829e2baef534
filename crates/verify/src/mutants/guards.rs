//! The faults that are planted in filters with a memory: in their code, and in what their maps are given.

use std::net::{Ipv4Addr, Ipv6Addr};

use weir_asm::{AluOp, Call, Cond, Insn, Reg, Size, Src, Width};
use weir_filters::{Blocklist, FilterName, Quota};
use weir_wire::headers::{ipv4, ipv6};

use super::{
    code::{alu, with_imm},
    faults::{ALL, Fault, FaultKind, code},
};
use crate::memory::Contents;

const fn memory(name: &'static str, filter: FilterName, change: fn(&mut Contents)) -> Fault {
    Fault { name, filter, layers: ALL, kind: FaultKind::Memory(change) }
}

use FilterName::{Blocklist as Blocks, KnownKey, Quota as Limits};

/// All of them.
pub(super) const FAULTS: &[Fault] = &[
    code("source read where the destination is", Blocks, ALL, |_, all, at| destination_for_source(all, at)),
    code("end of a prefix compared the other way", Blocks, ALL, |_, all, at| reversed_end(all, at)),
    code("IPv4 sources looked up as IPv6 ones", Blocks, ALL, |_, all, at| unmapped(all[at])),
    code("source of a quota read where the destination is", Limits, ALL, |_, all, at| {
        destination_for_source(all, at)
    }),
    code("known keys taken for unknown ones", KnownKey, ALL, |_, all, at| inverted_key(all, at)),
    memory("prefixes one bit shorter", Blocks, |contents| {
        let mut shorter = Blocklist::default();
        for (prefix, until) in contents.blocklist.iter() {
            shorter.block(prefix.supernet().unwrap_or(prefix), until);
        }
        contents.blocklist = shorter;
    }),
    memory("a burst of one packet more", Limits, |contents| {
        let burst = contents.quota.burst().saturating_add(1).try_into().expect("more than 0");
        contents.quota = Quota::new(contents.quota.rate(), burst).expect("the rate of a quota");
    }),
    memory("keys in the other byte order", KnownKey, |contents| {
        contents.keys.iter_mut().for_each(|key| *key = key.swap_bytes());
    }),
];

/// The offset with which a helper is given to load an address from an IP header.
fn destination_for_source(all: &[Insn], at: usize) -> Option<Insn> {
    /// skb_load_bytes, skb_load_bytes_relative, xdp_load_bytes.
    const LOADS: [i32; 3] = [26, 68, 189];
    /// Instructions between an argument and its call, at most.
    const NEAR: usize = 16;
    let (dst, offset) = alu(all[at], AluOp::Add).or_else(|| alu(all[at], AluOp::Mov))?;
    let offsets =
        [(ipv4::SOURCE_OFFSET, ipv4::DESTINATION_OFFSET), (ipv6::SOURCE_OFFSET, ipv6::DESTINATION_OFFSET)];
    let (_, destination) = offsets.into_iter().find(|(source, _)| offset == *source as i32)?;
    let is_load = |other: &Insn| matches!(other, Insn::Call(Call::Helper(number)) if LOADS.contains(number));
    let call = all[at..].iter().take(NEAR).position(is_load)?;
    let length_of = |other: &Insn| alu(*other, AluOp::Mov).filter(|(dst, _)| *dst == Reg::R4);
    let (_, length) = all[..at + call].iter().rev().take(NEAR).find_map(length_of)?;
    let is_an_address = [size_of::<Ipv4Addr>(), size_of::<Ipv6Addr>()].contains(&(length as usize));
    (dst == Reg::R2 && is_an_address).then(|| with_imm(all[at], destination as i32))
}

/// The comparison of two registers behind the look at the clock.
fn reversed_end(all: &[Insn], at: usize) -> Option<Insn> {
    const KTIME_GET_NS: Insn = Insn::Call(Call::Helper(5));
    const NEAR: usize = 6;
    let Insn::Jump { width: Width::W64, cond, dst, src: src @ Src::Reg(_), target } = all[at] else {
        return None;
    };
    let cond = match cond {
        Cond::Gt => Cond::Lt,
        Cond::Lt => Cond::Gt,
        Cond::Ge => Cond::Le,
        Cond::Le => Cond::Ge,
        _ => return None,
    };
    let is_of_a_time = all[at.saturating_sub(NEAR)..at].contains(&KTIME_GET_NS);
    is_of_a_time.then_some(Insn::Jump { width: Width::W64, cond, dst, src, target })
}

/// The third word of ::ffff:0:0 without its ones.
fn unmapped(insn: Insn) -> Option<Insn> {
    let mapped = u32::from_ne_bytes([0, 0, 0xff, 0xff]) as i32;
    let constant = match insn {
        Insn::Store { size: Size::W, src: Src::Imm(imm), .. } => imm,
        _ => alu(insn, AluOp::Mov)?.1,
    };
    (constant == mapped).then(|| with_imm(insn, 0))
}

/// The comparison with nothing of what a lookup found, where that isn't looked into.
fn inverted_key(all: &[Insn], at: usize) -> Option<Insn> {
    const MAP_LOOKUP_ELEM: Insn = Insn::Call(Call::Helper(1));
    const NEAR: usize = 8;
    let Insn::Jump { width: Width::W64, cond, dst: Reg::R0, src: src @ Src::Imm(0), target } = all[at] else {
        return None;
    };
    let cond = match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        _ => return None,
    };
    let is_found = all[..at].last() == Some(&MAP_LOOKUP_ELEM);
    let looks_into = |other: &Insn| match other {
        Insn::Load { mem, .. } | Insn::LoadSx { mem, .. } | Insn::Store { mem, .. } => mem.base == Reg::R0,
        Insn::Atomic(atomic) => atomic.mem.base == Reg::R0,
        _ => false,
    };
    let is_looked_into = all[at..].iter().take(NEAR).any(looks_into);
    (is_found && !is_looked_into).then_some(Insn::Jump { width: Width::W64, cond, dst: Reg::R0, src, target })
}
