//! Instructions by their mnemonics, to write programs with: `use weir_asm::{Reg::*, op::*}`.
//!
//! ```
//! use weir_asm::{Code, Endian, Reg::*, op::*};
//!
//! let mut code = Code::new();
//! let drop = code.fresh_label();
//! code += ldxw(R2, R1 + 0);
//! code += jlt(R2, 9, drop);
//! code += mov(R0, -1);
//! code += exit();
//! code.place(drop).unwrap();
//! code += mov(R0, 0);
//! code += exit();
//! assert_eq!(code.encode(Endian::Little).unwrap().len(), 48);
//! ```

use std::ops::{Add, Sub};

use crate::{
    AluOp, Atomic, AtomicOp, Bits, Call, Cond, EndOp, Imm64, Insn, Label, MapName, Mem, Reg, Size, Src,
    SxFrom, SxSize, Target, Width,
};

impl Add<i16> for Reg {
    type Output = Mem;

    fn add(self, off: i16) -> Mem {
        Mem { base: self, off }
    }
}

impl Sub<i16> for Reg {
    type Output = Mem;

    fn sub(self, off: i16) -> Mem {
        Mem { base: self, off: -off }
    }
}

impl From<Reg> for Mem {
    fn from(base: Reg) -> Self {
        Self { base, off: 0 }
    }
}

impl From<Label> for Target {
    fn from(label: Label) -> Self {
        Self::Label(label)
    }
}

impl From<i32> for Target {
    fn from(off: i32) -> Self {
        Self::Off(off)
    }
}

macro_rules! alu {
    ($($(#[$doc:meta])* $name:ident, $name32:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name(dst: Reg, src: impl Into<Src>) -> Insn {
            Insn::Alu { width: Width::W64, op: AluOp::$op, dst, src: src.into() }
        }

        $(#[$doc])*
        ///
        /// On the lower 32 bits; the upper ones become zero.
        pub fn $name32(dst: Reg, src: impl Into<Src>) -> Insn {
            Insn::Alu { width: Width::W32, op: AluOp::$op, dst, src: src.into() }
        }
    )* };
}

alu! {
    /// `dst += src`
    add, add32 = Add;
    /// `dst -= src`
    sub, sub32 = Sub;
    /// `dst *= src`
    mul, mul32 = Mul;
    /// `dst /= src`, unsigned; by zero it gives 0.
    div, div32 = Div;
    /// `dst /= src`, signed; by zero it gives 0.
    sdiv, sdiv32 = Sdiv;
    /// `dst |= src`
    or, or32 = Or;
    /// `dst &= src`
    and, and32 = And;
    /// `dst <<= src`
    lsh, lsh32 = Lsh;
    /// `dst >>= src`, zeros come in.
    rsh, rsh32 = Rsh;
    /// `dst %= src`, unsigned; by zero it leaves `dst`.
    modulo, modulo32 = Mod;
    /// `dst %= src`, signed; by zero it leaves `dst`.
    smod, smod32 = Smod;
    /// `dst ^= src`
    xor, xor32 = Xor;
    /// `dst = src`
    mov, mov32 = Mov;
    /// `dst >>= src`, the sign comes in.
    arsh, arsh32 = Arsh;
}

macro_rules! jumps {
    ($($(#[$doc:meta])* $name:ident, $name32:ident = $cond:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name(dst: Reg, src: impl Into<Src>, target: impl Into<Target>) -> Insn {
            Insn::Jump { width: Width::W64, cond: Cond::$cond, dst, src: src.into(), target: target.into() }
        }

        $(#[$doc])*
        ///
        /// Compares the lower 32 bits.
        pub fn $name32(dst: Reg, src: impl Into<Src>, target: impl Into<Target>) -> Insn {
            Insn::Jump { width: Width::W32, cond: Cond::$cond, dst, src: src.into(), target: target.into() }
        }
    )* };
}

jumps! {
    /// Jump if `dst == src`.
    jeq, jeq32 = Eq;
    /// Jump if `dst != src`.
    jne, jne32 = Ne;
    /// Jump if `dst > src`, unsigned.
    jgt, jgt32 = Gt;
    /// Jump if `dst >= src`, unsigned.
    jge, jge32 = Ge;
    /// Jump if `dst < src`, unsigned.
    jlt, jlt32 = Lt;
    /// Jump if `dst <= src`, unsigned.
    jle, jle32 = Le;
    /// Jump if `dst & src` is not 0.
    jset, jset32 = Set;
    /// Jump if `dst > src`, signed.
    jsgt, jsgt32 = Sgt;
    /// Jump if `dst >= src`, signed.
    jsge, jsge32 = Sge;
    /// Jump if `dst < src`, signed.
    jslt, jslt32 = Slt;
    /// Jump if `dst <= src`, signed.
    jsle, jsle32 = Sle;
}

macro_rules! memory {
    ($($size:ident: $load:ident, $store:ident, $store_imm:ident, $doc:literal;)*) => { $(
        #[doc = concat!("`dst = *mem`, ", $doc, ".")]
        pub fn $load(dst: Reg, mem: impl Into<Mem>) -> Insn {
            Insn::Load { size: Size::$size, dst, mem: mem.into() }
        }

        #[doc = concat!("`*mem = src`, ", $doc, ".")]
        pub fn $store(mem: impl Into<Mem>, src: Reg) -> Insn {
            Insn::Store { size: Size::$size, mem: mem.into(), src: Src::Reg(src) }
        }

        #[doc = concat!("`*mem = imm`, ", $doc, ".")]
        pub fn $store_imm(mem: impl Into<Mem>, imm: i32) -> Insn {
            Insn::Store { size: Size::$size, mem: mem.into(), src: Src::Imm(imm) }
        }
    )* };
}

memory! {
    B: ldxb, stxb, stb, "one byte";
    H: ldxh, stxh, sth, "two bytes";
    W: ldxw, stxw, stw, "four bytes";
    Dw: ldxdw, stxdw, stdw, "eight bytes";
}

/// `dst = *mem`, sign-extended.
pub fn ldxs(size: SxSize, dst: Reg, mem: impl Into<Mem>) -> Insn {
    Insn::LoadSx { size, dst, mem: mem.into() }
}

/// `r0 = ` packet bytes from `off` on, in host order.
pub fn ldabs(size: Size, off: i32) -> Insn {
    Insn::LoadAbs { size, off }
}

/// `r0 = ` packet bytes from `src + off` on, in host order.
pub fn ldind(size: Size, src: Reg, off: i32) -> Insn {
    Insn::LoadInd { size, src, off }
}

/// `dst = -dst`
pub fn neg(dst: Reg) -> Insn {
    Insn::Neg { width: Width::W64, dst }
}

/// `dst = -dst` on the lower 32 bits; the upper ones become zero.
pub fn neg32(dst: Reg) -> Insn {
    Insn::Neg { width: Width::W32, dst }
}

/// `dst = sign-extended src`.
pub fn movsx(width: Width, from: SxFrom, dst: Reg, src: Reg) -> Insn {
    Insn::MovSx { width, from, dst, src }
}

/// Host order to little-endian, or back.
pub fn le(bits: Bits, dst: Reg) -> Insn {
    Insn::End { op: EndOp::Le, bits, dst }
}

/// Host order to big-endian, or back.
pub fn be(bits: Bits, dst: Reg) -> Insn {
    Insn::End { op: EndOp::Be, bits, dst }
}

/// Swap the bytes.
pub fn bswap(bits: Bits, dst: Reg) -> Insn {
    Insn::End { op: EndOp::Swap, bits, dst }
}

/// An atomic operation on 64 bits of memory.
pub fn atomic(op: AtomicOp, mem: impl Into<Mem>, src: Reg) -> Insn {
    Insn::Atomic(Atomic { width: Width::W64, op, mem: mem.into(), src })
}

/// An atomic operation on 32 bits of memory.
pub fn atomic32(op: AtomicOp, mem: impl Into<Mem>, src: Reg) -> Insn {
    Insn::Atomic(Atomic { width: Width::W32, op, mem: mem.into(), src })
}

/// `dst = value`, 64 bits of it.
pub fn lddw(dst: Reg, value: u64) -> Insn {
    Insn::LoadImm { dst, imm: Imm64::Value(value) }
}

/// `dst = ` the map with this file descriptor.
pub fn lmfd(dst: Reg, fd: i32) -> Insn {
    Insn::LoadImm { dst, imm: Imm64::MapFd(fd) }
}

/// `dst = ` the map by name.
pub fn lmap(dst: Reg, map: MapName) -> Insn {
    Insn::LoadImm { dst, imm: Imm64::Map(map) }
}

/// Go on elsewhere, at most 32 767 slots away.
pub fn ja(target: impl Into<Target>) -> Insn {
    Insn::Ja(target.into())
}

/// Go on elsewhere, any distance ("gotol", Linux 6.6).
pub fn jal(target: impl Into<Target>) -> Insn {
    Insn::Jal(target.into())
}

/// Call a helper of the kernel by its number.
pub fn call(helper: i32) -> Insn {
    Insn::Call(Call::Helper(helper))
}

/// Call a function of this program (Linux 4.16).
pub fn call_local(target: impl Into<Target>) -> Insn {
    Insn::Call(Call::Local(target.into()))
}

/// Return r0.
pub fn exit() -> Insn {
    Insn::Exit
}
