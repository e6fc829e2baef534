//! One instruction, as a tree: forms that don't exist can't be written, where types can say so.

use crate::ops::{AluOp, AtomicOp, Bits, Cond, EndOp, Reg, Size, SxFrom, SxSize, Width};

/// The second operand: a register, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Src {
    /// A register.
    Reg(Reg),
    /// A number, sign-extended where the operation is 64 bits wide.
    Imm(i32),
}

impl From<Reg> for Src {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Src {
    fn from(imm: i32) -> Self {
        Self::Imm(imm)
    }
}

/// Memory at a register plus an offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mem {
    /// Holds the address.
    pub base: Reg,
    /// Bytes behind it.
    pub off: i16,
}

/// A label of one [`Code`](crate::Code); made by [`Code::label`](crate::Code::label) or
/// [`Code::fresh_label`](crate::Code::fresh_label).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(pub(crate) u32);

impl Label {
    /// Its place among the labels of its code, from 0.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// A map's name as one [`Code`](crate::Code) knows it; made by [`Code::map`](crate::Code::map).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapName(pub(crate) u32);

/// Where a jump or a local call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// So many 8-byte slots behind the next instruction.
    Off(i32),
    /// To a label.
    Label(Label),
}

/// What a 64-bit immediate holds (RFC 9669, section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// A number.
    Value(u64),
    /// The address of the map with this file descriptor.
    MapFd(i32),
    /// The address of the first value of the map with this file descriptor, plus bytes.
    MapFdValue {
        /// The map's file descriptor.
        fd: i32,
        /// Bytes behind the value's start.
        off: u32,
    },
    /// The address of a variable of the platform's, by its BTF id.
    Var(u32),
    /// The address of a function of this program.
    Func(Target),
    /// The address of the map at this place of the load call's array of descriptors.
    MapIndex(u32),
    /// The address of the first value of that map, plus bytes.
    MapIndexValue {
        /// The map's place.
        index: u32,
        /// Bytes behind the value's start.
        off: u32,
    },
    /// The address of a map by name: a relocation, or a descriptor that the loader puts in.
    Map(MapName),
    /// The address of the first value of a map by name, plus bytes.
    MapValue {
        /// The map's name.
        map: MapName,
        /// Bytes behind the value's start.
        off: u32,
    },
}

/// What a call calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// A helper, by its number (enum bpf_func_id, include/uapi/linux/bpf.h).
    Helper(i32),
    /// A function of this program.
    Local(Target),
    /// A function of the kernel, by its BTF id ("kfunc").
    Kfunc(i32),
    /// The helper whose number, or the function whose address, the register holds (callx; not in RFC 9669, written
    /// by clang and known to user-space runtimes).
    Reg(Reg),
}

/// An instruction.
///
/// ```text
/// |    opcode (8)   | dst (4) | src (4) | offset (16) | immediate (32) |    RFC 9669, section 3
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Insn {
    /// `dst op= src`.
    Alu {
        /// How wide.
        width: Width,
        /// The operation.
        op: AluOp,
        /// Left operand and result.
        dst: Reg,
        /// Right operand.
        src: Src,
    },
    /// `dst = sign-extended src`.
    MovSx {
        /// How wide the result is.
        width: Width,
        /// What of the source is taken.
        from: SxFrom,
        /// The result.
        dst: Reg,
        /// The source.
        src: Reg,
    },
    /// `dst = -dst`.
    Neg {
        /// How wide.
        width: Width,
        /// Operand and result.
        dst: Reg,
    },
    /// Change of byte order.
    End {
        /// Which.
        op: EndOp,
        /// Of how many bits.
        bits: Bits,
        /// Operand and result.
        dst: Reg,
    },
    /// `dst = imm`, the only instruction of two slots.
    LoadImm {
        /// The result.
        dst: Reg,
        /// What it gets.
        imm: Imm64,
    },
    /// `dst = *mem`, zero-extended.
    Load {
        /// How much.
        size: Size,
        /// The result.
        dst: Reg,
        /// From where.
        mem: Mem,
    },
    /// `dst = *mem`, sign-extended.
    LoadSx {
        /// How much.
        size: SxSize,
        /// The result.
        dst: Reg,
        /// From where.
        mem: Mem,
    },
    /// `*mem = src`.
    Store {
        /// How much.
        size: Size,
        /// Where to.
        mem: Mem,
        /// What.
        src: Src,
    },
    /// `r0 = ` packet bytes from `off` on, in host order; ends the program where the packet is shorter (RFC 9669,
    /// section 5.5: deprecated, and still what classic filters become).
    LoadAbs {
        /// How much.
        size: Size,
        /// From where in the packet.
        off: i32,
    },
    /// `r0 = ` packet bytes from `src + off` on.
    LoadInd {
        /// How much.
        size: Size,
        /// Added to the offset.
        src: Reg,
        /// From where in the packet.
        off: i32,
    },
    /// An atomic operation on memory.
    Atomic(Atomic),
    /// Go on elsewhere: the distance has 16 bits.
    Ja(Target),
    /// Go on elsewhere: the distance has 32 bits ("gotol").
    Jal(Target),
    /// Go on elsewhere if the condition holds.
    Jump {
        /// How much of the operands is compared.
        width: Width,
        /// The condition.
        cond: Cond,
        /// Left operand.
        dst: Reg,
        /// Right operand.
        src: Src,
        /// Where to.
        target: Target,
    },
    /// Call a function; its result is in r0.
    Call(Call),
    /// Return r0.
    Exit,
    /// A slot as it is, for what has no other form here: opcode in the lowest byte, as in memory on little-endian.
    Raw(u64),
}

/// An atomic operation on memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Atomic {
    /// How wide.
    pub width: Width,
    /// What is done.
    pub op: AtomicOp,
    /// Where.
    pub mem: Mem,
    /// The operand, and the old value where it is fetched.
    pub src: Reg,
}

impl Insn {
    /// How many 8-byte slots it takes: 2 for a 64-bit immediate, 1 for everything else.
    pub const fn slots(&self) -> usize {
        if matches!(self, Self::LoadImm { .. }) { 2 } else { 1 }
    }

    /// Where it jumps or locally calls to, or whose address it takes.
    pub const fn target(&self) -> Option<Target> {
        let mut copy = *self;
        match copy.target_mut() {
            Some(target) => Some(*target),
            None => None,
        }
    }

    /// The target, to be changed.
    pub const fn target_mut(&mut self) -> Option<&mut Target> {
        match self {
            Self::Ja(target)
            | Self::Jal(target)
            | Self::Jump { target, .. }
            | Self::Call(Call::Local(target))
            | Self::LoadImm { imm: Imm64::Func(target), .. } => Some(target),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut insn: Insn, expected: Option<Target>) {
        assert_eq!(insn.target(), expected, "{insn:?}");
        let changed = Target::Off(-7);
        if let Some(target) = insn.target_mut() {
            *target = changed;
        }
        assert_eq!(insn.target(), expected.map(|_| changed), "{insn:?}");
    }

    #[test]
    fn what_goes_elsewhere_has_a_target_that_can_be_changed() {
        let (target, dst) = (Target::Off(3), Reg::R1);
        let jump = Insn::Jump { width: Width::W64, cond: Cond::Eq, dst, src: Src::Imm(0), target };
        check(jump, Some(target));
        check(Insn::Ja(target), Some(target));
        check(Insn::Jal(target), Some(target));
        check(Insn::Call(Call::Local(target)), Some(target));
        check(Insn::LoadImm { dst, imm: Imm64::Func(target) }, Some(target));
    }

    #[test]
    fn what_goes_on_with_the_next_has_none() {
        check(Insn::Exit, None);
        check(Insn::Call(Call::Helper(1)), None);
        check(Insn::LoadImm { dst: Reg::R1, imm: Imm64::Value(3) }, None);
        check(Insn::Raw(3), None);
    }
}
