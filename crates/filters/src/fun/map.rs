//! The maps of the programs, and looking into them.

use weir_asm::{Code, Label, Layout, MapDef, MapKind, Reg::*, op::*};
use weir_wire::maps;

use super::{call_helper, here};

/// Every map that a filter may have.
pub(super) const ALL: [fn() -> MapDef; 4] = [verdicts, parameter, counter, capture];

fn verdicts() -> MapDef {
    one(maps::VERDICTS, MapKind::PerCpuArray, Layout::Array(Box::new(U64), 2))
}

fn parameter() -> MapDef {
    one(maps::PARAMETER, MapKind::Array, U32)
}

fn counter() -> MapDef {
    one(maps::COUNTER, MapKind::PerCpuArray, U64)
}

/// A [`maps::Capture`], which C lays out alike.
fn capture() -> MapDef {
    let bytes = Layout::Array(Box::new(Layout::Unsigned(1)), maps::CAPTURE_LEN as u32);
    let fields = [("seen", U64), ("len", U32), ("captured", U32), ("bytes", bytes)];
    let fields = fields.map(|(name, layout)| (name.to_owned(), layout)).to_vec();
    one(maps::CAPTURE, MapKind::PerCpuArray, Layout::Struct("capture".to_owned(), fields))
}

const U32: Layout = Layout::Unsigned(4);
const U64: Layout = Layout::Unsigned(8);

fn one(name: &str, kind: MapKind, value: Layout) -> MapDef {
    MapDef { name: name.to_owned(), kind, key: U32, value, max_entries: 1, flags: 0 }
}

/// Where the key of a lookup stands, below what is loaded of the packet.
const KEY: i16 = -16;

/// r0 = the only value of an array, or on at `absent`, where the verifier wants to be led although it always exists.
/// r1 to r5 are lost.
pub(crate) fn look_up(code: &mut Code, map: &str, absent: Label) {
    let map = code.map(map);
    *code += stw(R10 + KEY, 0);
    *code += mov(R2, R10);
    *code += add(R2, i32::from(KEY));
    *code += lmap(R1, map);
    *code += call_helper("map_lookup_elem");
    *code += jeq(R0, 0, absent);
}

/// Adds 1 to the `u64` that stands `off` bytes behind the start of a per-CPU array's only value. A plain add is
/// enough: a per-CPU slot is written by its own CPU alone, in softirq or with bottom halves off.
pub(super) fn count(code: &mut Code, map: &str, off: i16) {
    let counted = code.fresh_label();
    look_up(code, map, counted);
    *code += ldxdw(R1, R0 + off);
    *code += add(R1, 1);
    *code += stxdw(R0 + off, R1);
    here(code, counted);
}
