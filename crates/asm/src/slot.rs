//! One slot as it is laid out, and the numbers that stand in its fields (RFC 9669, sections 3 to 5).

use crate::{AluOp, AtomicOp, Cond, Endian, Size};

/// One slot's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawSlot {
    pub(crate) opcode: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
}

impl RawSlot {
    /// In memory, the registers' nibbles swap places with the byte order (RFC 9669, section 3.1).
    pub(crate) fn to_bytes(self, endian: Endian) -> [u8; 8] {
        let Self { opcode, dst, src, off, imm } = self;
        let (regs, [o0, o1], [i0, i1, i2, i3]) = match endian {
            Endian::Little => (src << 4 | dst, off.to_le_bytes(), imm.to_le_bytes()),
            Endian::Big => (dst << 4 | src, off.to_be_bytes(), imm.to_be_bytes()),
        };
        [opcode, regs, o0, o1, i0, i1, i2, i3]
    }

    pub(crate) fn from_bytes(bytes: [u8; 8], endian: Endian) -> Self {
        let [opcode, regs, o0, o1, i0, i1, i2, i3] = bytes;
        let (low, high) = (regs & 15, regs >> 4);
        match endian {
            Endian::Little => Self {
                opcode,
                dst: low,
                src: high,
                off: i16::from_le_bytes([o0, o1]),
                imm: i32::from_le_bytes([i0, i1, i2, i3]),
            },
            Endian::Big => Self {
                opcode,
                dst: high,
                src: low,
                off: i16::from_be_bytes([o0, o1]),
                imm: i32::from_be_bytes([i0, i1, i2, i3]),
            },
        }
    }
}

pub(crate) mod class {
    pub(crate) const LD: u8 = 0;
    pub(crate) const LDX: u8 = 1;
    pub(crate) const ST: u8 = 2;
    pub(crate) const STX: u8 = 3;
    pub(crate) const ALU: u8 = 4;
    pub(crate) const JMP: u8 = 5;
    pub(crate) const JMP32: u8 = 6;
    pub(crate) const ALU64: u8 = 7;
}

pub(crate) mod mode {
    pub(crate) const IMM: u8 = 0x00;
    pub(crate) const ABS: u8 = 0x20;
    pub(crate) const IND: u8 = 0x40;
    pub(crate) const MEM: u8 = 0x60;
    pub(crate) const MEMSX: u8 = 0x80;
    pub(crate) const ATOMIC: u8 = 0xc0;
}

/// The source bit: the second operand is a register.
pub(crate) const X: u8 = 0x08;

pub(crate) const NEG: u8 = 0x8;
pub(crate) const END: u8 = 0xd;
pub(crate) const CALL: u8 = 0x8;
pub(crate) const EXIT: u8 = 0x9;
pub(crate) const LDDW: u8 = mode::IMM | 0x18 | class::LD;
pub(crate) const CALL_HELPER: u8 = 0;
pub(crate) const CALL_LOCAL: u8 = 1;
pub(crate) const CALL_KFUNC: u8 = 2;

/// What the source field of a 64-bit immediate says of it.
pub(crate) mod imm64 {
    pub(crate) const VALUE: u8 = 0;
    pub(crate) const MAP_FD: u8 = 1;
    pub(crate) const MAP_FD_VALUE: u8 = 2;
    pub(crate) const VAR: u8 = 3;
    pub(crate) const FUNC: u8 = 4;
    pub(crate) const MAP_INDEX: u8 = 5;
    pub(crate) const MAP_INDEX_VALUE: u8 = 6;
}

/// An operation's code, and the offset that tells signed division from unsigned.
pub(crate) const fn alu_code(op: AluOp) -> (u8, i16) {
    match op {
        AluOp::Add => (0x0, 0),
        AluOp::Sub => (0x1, 0),
        AluOp::Mul => (0x2, 0),
        AluOp::Div => (0x3, 0),
        AluOp::Sdiv => (0x3, 1),
        AluOp::Or => (0x4, 0),
        AluOp::And => (0x5, 0),
        AluOp::Lsh => (0x6, 0),
        AluOp::Rsh => (0x7, 0),
        AluOp::Mod => (0x9, 0),
        AluOp::Smod => (0x9, 1),
        AluOp::Xor => (0xa, 0),
        AluOp::Mov => (0xb, 0),
        AluOp::Arsh => (0xc, 0),
    }
}

pub(crate) const fn cond_code(cond: Cond) -> u8 {
    match cond {
        Cond::Eq => 0x1,
        Cond::Gt => 0x2,
        Cond::Ge => 0x3,
        Cond::Set => 0x4,
        Cond::Ne => 0x5,
        Cond::Sgt => 0x6,
        Cond::Sge => 0x7,
        Cond::Lt => 0xa,
        Cond::Le => 0xb,
        Cond::Slt => 0xc,
        Cond::Sle => 0xd,
    }
}

pub(crate) const fn size_bits(size: Size) -> u8 {
    match size {
        Size::W => 0x00,
        Size::H => 0x08,
        Size::B => 0x10,
        Size::Dw => 0x18,
    }
}

pub(crate) const fn atomic_code(op: AtomicOp) -> i32 {
    let (code, fetch) = match op {
        AtomicOp::Add { fetch } => (0x00, fetch),
        AtomicOp::Or { fetch } => (0x40, fetch),
        AtomicOp::And { fetch } => (0x50, fetch),
        AtomicOp::Xor { fetch } => (0xa0, fetch),
        AtomicOp::Xchg => (0xe0, true),
        AtomicOp::Cmpxchg => (0xf0, true),
    };
    code | fetch as i32
}
