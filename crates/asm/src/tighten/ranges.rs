//! What unsigned numbers registers can hold.

use crate::{AluOp, Bits, Cond, EndOp, Insn, Reg, Src, Width, check::written};

/// What an unsigned number of 64 bits can be. No verifier knows less of a register: bounds of every kernel since 4.14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    least: u64,
    most: u64,
}

pub(super) type Ranges = [Range; Reg::ALL.len()];

impl Range {
    pub(super) const ALL: Self = Self { least: 0, most: u64::MAX };

    const fn up_to(most: u64) -> Self {
        Self { least: 0, most }
    }

    /// What it can be where the comparison with `imm` holds, or doesn't.
    pub(super) fn where_is(self, cond: Cond, imm: i32, holds: bool) -> Self {
        let value = i64::from(imm) as u64;
        let Self { least, most } = self;
        let above = |from: u64| Self { least: least.max(from), most };
        let below = |to: u64| Self { least, most: most.min(to) };
        match (cond, holds) {
            (Cond::Eq, true) | (Cond::Ne, false) => Self { least: value, most: value },
            (Cond::Gt, true) | (Cond::Le, false) => above(value.saturating_add(1)),
            (Cond::Ge, true) | (Cond::Lt, false) => above(value),
            (Cond::Lt, true) | (Cond::Ge, false) => below(value.saturating_sub(1)),
            (Cond::Le, true) | (Cond::Gt, false) => below(value),
            // Not of equal numbers: from those verifiers before Linux 6.8 learn nothing.
            _ => self,
        }
    }

    /// Whether every number in it fulfils the comparison with `imm`, or none does.
    pub(super) fn fulfils(self, cond: Cond, imm: i32) -> Option<bool> {
        let value = i64::from(imm) as u64;
        let Self { least, most } = self;
        let decided = |all: bool, none: bool| (all != none).then_some(all);
        match cond {
            Cond::Eq => decided(least == most && least == value, value < least || value > most),
            Cond::Ne => decided(value < least || value > most, least == most && least == value),
            Cond::Gt => decided(least > value, most <= value),
            Cond::Ge => decided(least >= value, most < value),
            Cond::Lt => decided(most < value, least >= value),
            Cond::Le => decided(most <= value, least > value),
            _ => None,
        }
    }

    /// What one of the two is.
    pub(super) fn or(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }
}

/// What registers can be behind an instruction, of a jump where it is made or not; nothing where that can't be.
pub(super) fn ranges_behind(insn: &Insn, mut ranges: Ranges, is_made: bool) -> Option<Ranges> {
    if let Insn::Jump { width: Width::W64, cond, dst, src: Src::Imm(imm), .. } = *insn {
        let range = &mut ranges[usize::from(dst.number())];
        if range.fulfils(cond, imm) == Some(!is_made) {
            return None;
        }
        *range = range.where_is(cond, imm, is_made);
    } else {
        follow(insn, &mut ranges);
    }
    Some(ranges)
}

/// What registers can be behind an instruction.
fn follow(insn: &Insn, ranges: &mut Ranges) {
    if let Insn::Call(_) = insn {
        ranges[..=5].fill(Range::ALL);
    }
    if let Insn::Atomic(atomic) = insn {
        // A compare and exchange writes r0.
        ranges[0] = Range::ALL;
        ranges[usize::from(atomic.src.number())] = Range::ALL;
    }
    if let Insn::LoadAbs { .. } | Insn::LoadInd { .. } = insn {
        ranges[..=5].fill(Range::ALL);
    }
    let Some(register) = written(insn) else { return };
    let range = match *insn {
        Insn::Load { size, .. } if size.bytes() < 8 => Range::up_to((1 << (8 * size.bytes())) - 1),
        Insn::Alu { width: Width::W64, op: AluOp::Mov, src: Src::Imm(imm), .. } => {
            Range { least: i64::from(imm) as u64, most: i64::from(imm) as u64 }
        }
        Insn::Alu { width: Width::W64, op: AluOp::Mov, src: Src::Reg(from), .. } => {
            ranges[usize::from(from.number())]
        }
        Insn::Alu { width: Width::W64, op: AluOp::And, src: Src::Imm(imm @ 0..), .. } => {
            Range::up_to(imm as u64)
        }
        Insn::End { op: EndOp::Be | EndOp::Le, bits: bits @ (Bits::B16 | Bits::B32), .. } => {
            Range::up_to((1 << bits as u32) - 1)
        }
        _ => Range::ALL,
    };
    ranges[usize::from(register.number())] = range;
}
