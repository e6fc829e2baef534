//! Every form of instruction, and bytes that are likely to be some, for property tests.
#![allow(unreachable_pub)]

use proptest::prelude::*;
use weir_asm::{
    AluOp, Atomic, AtomicOp, Bits, Call, Cond, EndOp, Endian, Imm64, Insn, Mem, Reg, Size, Src, SxFrom,
    SxSize, Target, Width,
};

fn reg() -> impl Strategy<Value = Reg> {
    prop::sample::select(&Reg::ALL[..])
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(Width::W32), Just(Width::W64)]
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![Just(Size::B), Just(Size::H), Just(Size::W), Just(Size::Dw)]
}

fn mem() -> impl Strategy<Value = Mem> {
    (reg(), any::<i16>()).prop_map(|(base, off)| Mem { base, off })
}

fn src() -> impl Strategy<Value = Src> {
    prop_oneof![reg().prop_map(Src::Reg), any::<i32>().prop_map(Src::Imm)]
}

fn near() -> impl Strategy<Value = Target> {
    any::<i16>().prop_map(|off| Target::Off(off.into()))
}

fn far() -> impl Strategy<Value = Target> {
    any::<i32>().prop_map(Target::Off)
}

fn imm64() -> impl Strategy<Value = Imm64> {
    prop_oneof![
        any::<u64>().prop_map(Imm64::Value),
        any::<i32>().prop_map(Imm64::MapFd),
        (any::<i32>(), any::<u32>()).prop_map(|(fd, off)| Imm64::MapFdValue { fd, off }),
        any::<u32>().prop_map(Imm64::Var),
        far().prop_map(Imm64::Func),
        any::<u32>().prop_map(Imm64::MapIndex),
        (any::<u32>(), any::<u32>()).prop_map(|(index, off)| Imm64::MapIndexValue { index, off }),
    ]
}

/// Every form of instruction that doesn't refer to names.
pub fn insn() -> impl Strategy<Value = Insn> {
    let sx_from = prop_oneof![
        Just((Width::W32, SxFrom::B8)),
        Just((Width::W32, SxFrom::B16)),
        Just((Width::W64, SxFrom::B8)),
        Just((Width::W64, SxFrom::B16)),
        Just((Width::W64, SxFrom::B32)),
    ];
    let end = prop_oneof![Just(EndOp::Le), Just(EndOp::Be), Just(EndOp::Swap)];
    let bits = prop_oneof![Just(Bits::B16), Just(Bits::B32), Just(Bits::B64)];
    let sx_size = prop_oneof![Just(SxSize::B), Just(SxSize::H), Just(SxSize::W)];
    let alu_op = prop::sample::select(&AluOp::ALL[..]);
    let cond = prop::sample::select(&Cond::ALL[..]);
    let atomic_op = prop::sample::select(&AtomicOp::ALL[..]);
    prop_oneof![
        (width(), alu_op, reg(), src()).prop_map(|(width, op, dst, src)| Insn::Alu { width, op, dst, src }),
        (sx_from, reg(), reg()).prop_map(|((width, from), dst, src)| Insn::MovSx { width, from, dst, src }),
        (width(), reg()).prop_map(|(width, dst)| Insn::Neg { width, dst }),
        (end, bits, reg()).prop_map(|(op, bits, dst)| Insn::End { op, bits, dst }),
        (reg(), imm64()).prop_map(|(dst, imm)| Insn::LoadImm { dst, imm }),
        (size(), reg(), mem()).prop_map(|(size, dst, mem)| Insn::Load { size, dst, mem }),
        (sx_size, reg(), mem()).prop_map(|(size, dst, mem)| Insn::LoadSx { size, dst, mem }),
        (size(), mem(), src()).prop_map(|(size, mem, src)| Insn::Store { size, mem, src }),
        (size(), any::<i32>()).prop_map(|(size, off)| Insn::LoadAbs { size, off }),
        (size(), reg(), any::<i32>()).prop_map(|(size, src, off)| Insn::LoadInd { size, src, off }),
        (width(), atomic_op, mem(), reg()).prop_map(|(width, op, mem, src)| Insn::Atomic(Atomic {
            width,
            op,
            mem,
            src
        })),
        near().prop_map(Insn::Ja),
        far().prop_map(Insn::Jal),
        (width(), cond, reg(), src(), near()).prop_map(|(width, cond, dst, src, target)| Insn::Jump {
            width,
            cond,
            dst,
            src,
            target
        }),
        any::<i32>().prop_map(|helper| Insn::Call(Call::Helper(helper))),
        far().prop_map(|target| Insn::Call(Call::Local(target))),
        any::<i32>().prop_map(|id| Insn::Call(Call::Kfunc(id))),
        reg().prop_map(|reg| Insn::Call(Call::Reg(reg))),
        Just(Insn::Exit),
    ]
}

#[allow(dead_code, reason = "not every test that shares this module uses all of it")]
pub fn endian() -> impl Strategy<Value = Endian> {
    prop_oneof![Just(Endian::Little), Just(Endian::Big)]
}

/// Slots whose opcode is any, and whose other fields are often zero, as they must be to decode.
#[allow(dead_code, reason = "not every test that shares this module uses all of it")]
pub fn slot() -> impl Strategy<Value = [u8; 8]> {
    let mostly_zero = || prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    (
        any::<u8>(),
        prop_oneof![0..16_u8, any::<u8>()],
        prop::array::uniform2(mostly_zero()),
        prop::array::uniform4(mostly_zero()),
    )
        .prop_map(|(opcode, regs, [o0, o1], [i0, i1, i2, i3])| [opcode, regs, o0, o1, i0, i1, i2, i3])
}
