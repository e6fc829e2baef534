//! The faults that are planted in filters with a memory: in their code, and in what their maps are given.

use std::net::{Ipv4Addr, Ipv6Addr};

use weir_filters::{Blocklist, FilterName, Quota};
use weir_wire::headers::{ipv4, ipv6};

use super::{
    faults::{ALL, Fault, Kind, code},
    slot::Slot,
};
use crate::memory::Contents;

const fn memory(name: &'static str, filter: FilterName, change: fn(&mut Contents)) -> Fault {
    Fault { name, filter, layers: ALL, kind: Kind::Memory(change) }
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

const CALL: u8 = 0x85;

/// The offset with which a helper is given to load an address from an IP header.
fn destination_for_source(all: &[Slot], at: usize) -> Option<Slot> {
    const ADD: u8 = 0x00;
    const MOV: u8 = 0xb0;
    /// skb_load_bytes, skb_load_bytes_relative, xdp_load_bytes.
    const LOADS: [i32; 3] = [26, 68, 189];
    /// Instructions between an argument and its call, at most.
    const NEAR: usize = 16;
    let slot = all[at];
    let offsets =
        [(ipv4::SOURCE_OFFSET, ipv4::DESTINATION_OFFSET), (ipv6::SOURCE_OFFSET, ipv6::DESTINATION_OFFSET)];
    let (_, destination) = offsets.into_iter().find(|(source, _)| slot.imm == *source as i32)?;
    let is_offset = (slot.is_alu(ADD) || slot.is_alu(MOV)) && slot.destination() == 2;
    let call =
        all[at..].iter().take(NEAR).position(|other| other.op == CALL && LOADS.contains(&other.imm))?;
    let is_length = |other: &Slot| other.is_alu(MOV) && other.destination() == 4;
    let length = all[..at + call].iter().rev().take(NEAR).find(|other| is_length(other))?;
    let is_an_address = [size_of::<Ipv4Addr>(), size_of::<Ipv6Addr>()].contains(&(length.imm as usize));
    (is_offset && is_an_address).then_some(Slot { imm: destination as i32, ..slot })
}

/// The comparison of two registers behind the look at the clock.
fn reversed_end(all: &[Slot], at: usize) -> Option<Slot> {
    const KTIME_GET_NS: i32 = 5;
    const NEAR: usize = 6;
    let slot = all[at];
    let op = match slot.op {
        0x2d => 0xad,
        0xad => 0x2d,
        0x3d => 0xbd,
        0xbd => 0x3d,
        _ => return None,
    };
    let mut before = all[at.saturating_sub(NEAR)..at].iter();
    let is_of_a_time = before.any(|other| other.op == CALL && other.imm == KTIME_GET_NS);
    is_of_a_time.then_some(Slot { op, ..slot })
}

/// The third word of ::ffff:0:0 without its ones.
fn unmapped(slot: Slot) -> Option<Slot> {
    let is_constant = matches!(slot.op, 0xb7 | 0xb4 | 0x62);
    let mapped = u32::from_ne_bytes([0, 0, 0xff, 0xff]) as i32;
    (is_constant && slot.imm == mapped).then_some(Slot { imm: 0, ..slot })
}

/// The comparison with nothing of what a lookup found, where that isn't looked into.
fn inverted_key(all: &[Slot], at: usize) -> Option<Slot> {
    const MAP_LOOKUP_ELEM: i32 = 1;
    const NEAR: usize = 8;
    const R0: u8 = 0;
    let slot = all[at];
    let op = match slot.op {
        0x15 => 0x55,
        0x55 => 0x15,
        _ => return None,
    };
    let before = all[..at].last()?;
    let is_found =
        before.op == CALL && before.imm == MAP_LOOKUP_ELEM && slot.destination() == R0 && slot.imm == 0;
    let looks_into = |other: &Slot| match other.op & 0x07 {
        0x01 => other.source() == R0,
        0x02 | 0x03 => other.destination() == R0,
        _ => false,
    };
    let is_looked_into = all[at..].iter().take(NEAR).any(looks_into);
    (is_found && !is_looked_into).then_some(Slot { op, ..slot })
}
