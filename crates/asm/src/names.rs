//! Mnemonics of operations, conditions and sizes: the one place that both reading and showing take them from.

use crate::{AluOp, AtomicOp, Cond, EndOp, MapKind, Size, SxSize};

pub(crate) const fn alu(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "add",
        AluOp::Sub => "sub",
        AluOp::Mul => "mul",
        AluOp::Div => "div",
        AluOp::Sdiv => "sdiv",
        AluOp::Or => "or",
        AluOp::And => "and",
        AluOp::Lsh => "lsh",
        AluOp::Rsh => "rsh",
        AluOp::Mod => "mod",
        AluOp::Smod => "smod",
        AluOp::Xor => "xor",
        AluOp::Mov => "mov",
        AluOp::Arsh => "arsh",
    }
}

pub(crate) const fn cond(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "jeq",
        Cond::Gt => "jgt",
        Cond::Ge => "jge",
        Cond::Set => "jset",
        Cond::Ne => "jne",
        Cond::Sgt => "jsgt",
        Cond::Sge => "jsge",
        Cond::Lt => "jlt",
        Cond::Le => "jle",
        Cond::Slt => "jslt",
        Cond::Sle => "jsle",
    }
}

pub(crate) const fn end(op: EndOp) -> &'static str {
    match op {
        EndOp::Le => "le",
        EndOp::Be => "be",
        EndOp::Swap => "bswap",
    }
}

pub(crate) const fn size(size: Size) -> &'static str {
    match size {
        Size::B => "b",
        Size::H => "h",
        Size::W => "w",
        Size::Dw => "dw",
    }
}

pub(crate) const fn sx_size(size: SxSize) -> &'static str {
    match size {
        SxSize::B => "b",
        SxSize::H => "h",
        SxSize::W => "w",
    }
}

/// Without `fetch`.
pub(crate) const fn atomic(op: AtomicOp) -> &'static str {
    match op {
        AtomicOp::Add { .. } => "add",
        AtomicOp::Or { .. } => "or",
        AtomicOp::And { .. } => "and",
        AtomicOp::Xor { .. } => "xor",
        AtomicOp::Xchg => "xchg",
        AtomicOp::Cmpxchg => "cmpxchg",
    }
}

/// Kinds of maps as bpftool names them.
pub(crate) const MAP_KINDS: [(&str, MapKind); 11] = [
    ("hash", MapKind::Hash),
    ("array", MapKind::Array),
    ("prog_array", MapKind::ProgArray),
    ("perf_event_array", MapKind::PerfEventArray),
    ("percpu_hash", MapKind::PerCpuHash),
    ("percpu_array", MapKind::PerCpuArray),
    ("lru_hash", MapKind::LruHash),
    ("lru_percpu_hash", MapKind::LruPerCpuHash),
    ("lpm_trie", MapKind::LpmTrie),
    ("reuseport_sockarray", MapKind::ReuseportSockArray),
    ("ringbuf", MapKind::RingBuf),
];
