//! What registers hold of memory.

use crate::{AluOp, Insn, Mem, Reg, Size, Src, check::written};

/// What registers hold of memory. Memory that somebody else changes meanwhile is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Values([Option<Value>; Reg::ALL.len()]);

/// What was loaded, and what became of it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    size: Size,
    mem: Mem,
    changes: [Option<Insn>; MOST_CHANGES],
}

/// Changes of a loaded value that are followed: to its byte order, and to some of its bits.
pub(super) const MOST_CHANGES: usize = 2;

impl Values {
    pub(super) fn of(self, register: Reg) -> Option<Value> {
        self.0[usize::from(register.number())]
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].filter(|value| other.0[at] == Some(*value))))
    }

    pub(super) fn behind(mut self, insn: &Insn) -> Self {
        let writes_memory = matches!(
            insn,
            Insn::Store { .. }
                | Insn::Atomic(_)
                | Insn::Call(_)
                | Insn::LoadAbs { .. }
                | Insn::LoadInd { .. }
        );
        if writes_memory {
            return Self::default();
        }
        let Some(register) = written(insn) else { return self };
        let value = match *insn {
            Insn::Load { size, mem, .. } => Some(Value { size, mem, changes: [None; MOST_CHANGES] }),
            Insn::Alu { op: AluOp::And, src: Src::Imm(_), .. } | Insn::End { .. } => {
                self.of(register).and_then(|mut value| {
                    let free = value.changes.iter_mut().find(|change| change.is_none())?;
                    *free = Some(*insn);
                    Some(value)
                })
            }
            _ => None,
        };
        for held in &mut self.0 {
            *held = held.filter(|held| held.mem.base != register);
        }
        self.0[usize::from(register.number())] = value.filter(|value| value.mem.base != register);
        self
    }
}
