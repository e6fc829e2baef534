//! One slot as it is laid out, the byte order, and the numbers in its fields that no operation has (RFC 9669, sections 3 to 5).

use crate::Size;

/// Byte order of the encoded program: that of the machine it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    #[default]
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// This machine's.
    pub const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };

    /// A number's bytes in this order, from those in little-endian order; and back.
    pub(crate) fn order<const N: usize>(self, mut bytes: [u8; N]) -> [u8; N] {
        if self == Self::Big {
            bytes.reverse();
        }
        bytes
    }
}

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
        let (dst, src) = if endian == Endian::Little { (low, high) } else { (high, low) };
        let off = i16::from_le_bytes(endian.order([o0, o1]));
        let imm = i32::from_le_bytes(endian.order([i0, i1, i2, i3]));
        Self { opcode, dst, src, off, imm }
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

/// In the order of their codes.
pub(crate) const SIZES: [Size; 4] = [Size::W, Size::H, Size::B, Size::Dw];

pub(crate) const fn size_bits(size: Size) -> u8 {
    match size {
        Size::W => 0x00,
        Size::H => 0x08,
        Size::B => 0x10,
        Size::Dw => 0x18,
    }
}
