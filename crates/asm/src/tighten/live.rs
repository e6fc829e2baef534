//! Which registers are read again.

use crate::{AluOp, AtomicOp, Call, Code, Insn, Reg, Src, Target, check::written};

/// A set of registers, a bit each.
type Registers = u16;

impl Code {
    /// Which instructions but give a register something that is never read.
    pub(super) fn dead_writes(&self) -> Vec<bool> {
        let mut live_before: Vec<Registers> = vec![0; self.len() + 1];
        let mut is_stable = false;
        while !is_stable {
            is_stable = true;
            for (index, insn) in self.insns().iter().enumerate().rev() {
                let live = read(insn) | self.live_behind(index, &live_before) & !lost(insn);
                is_stable &= live == live_before[index];
                live_before[index] = live;
            }
        }
        let is_dead = |(index, insn): (usize, &Insn)| {
            written(insn).is_some_and(|register| self.live_behind(index, &live_before) & bit(register) == 0)
                && !matches!(insn, Insn::Atomic(_))
        };
        self.insns().iter().enumerate().map(is_dead).collect()
    }

    fn live_behind(&self, index: usize, live_before: &[Registers]) -> Registers {
        let insn = &self.insns()[index];
        let there = match insn.target() {
            Some(Target::Label(label)) => self.place_of(label).map_or(0, |place| live_before[place]),
            _ => 0,
        };
        let falls = !matches!(insn, Insn::Ja(_) | Insn::Jal(_) | Insn::Exit);
        there | if falls { live_before[index + 1] } else { 0 }
    }
}

fn bit(register: Reg) -> Registers {
    1 << register.number()
}

fn of(src: Src) -> Registers {
    if let Src::Reg(register) = src { bit(register) } else { 0 }
}

/// What calls may take, and what they leave nothing in.
const ARGUMENTS: Registers = 0b11_1110;
const RESULT: Registers = 1;
/// Of the packet that instructions of classic BPF read.
const CONTEXT: Registers = 1 << 6;

fn read(insn: &Insn) -> Registers {
    match *insn {
        Insn::Alu { op: AluOp::Mov, src, .. } => of(src),
        Insn::Alu { dst, src, .. } | Insn::Jump { dst, src, .. } => bit(dst) | of(src),
        Insn::MovSx { src, .. } => bit(src),
        Insn::Neg { dst, .. } | Insn::End { dst, .. } => bit(dst),
        Insn::Load { mem, .. } | Insn::LoadSx { mem, .. } => bit(mem.base),
        Insn::Store { mem, src, .. } => bit(mem.base) | of(src),
        Insn::Atomic(atomic) => {
            let compared = if atomic.op == AtomicOp::Cmpxchg { RESULT } else { 0 };
            bit(atomic.mem.base) | bit(atomic.src) | compared
        }
        Insn::LoadAbs { .. } => CONTEXT,
        Insn::LoadInd { src, .. } => CONTEXT | bit(src),
        Insn::Call(Call::Reg(register)) => ARGUMENTS | bit(register),
        Insn::Call(_) => ARGUMENTS,
        Insn::Exit => RESULT,
        Insn::Raw(_) => Registers::MAX,
        Insn::LoadImm { .. } | Insn::Ja(_) | Insn::Jal(_) => 0,
    }
}

/// What no longer holds behind it what it held before.
fn lost(insn: &Insn) -> Registers {
    match insn {
        Insn::Call(_) | Insn::LoadAbs { .. } | Insn::LoadInd { .. } => ARGUMENTS | RESULT,
        Insn::Raw(_) => 0,
        _ => written(insn).map_or(0, bit),
    }
}
