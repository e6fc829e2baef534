//! What registers hold of memory.

use std::collections::HashMap;

use crate::{AluOp, Insn, Mem, Reg, Size, Src, Width, check::written};

/// What registers hold of memory. Memory that somebody else changes meanwhile is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Values([Option<Held>; Reg::ALL.len()]);

/// What a register holds: a [`Value`] by its number, loaded from behind another register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    number: u32,
    base: Reg,
}

/// What was loaded, and what became of it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Value {
    size: Size,
    mem: Mem,
    changes: [Option<Insn>; MOST_CHANGES],
}

/// The values that some register held, each once: there is one set of [`Values`] for each instruction.
#[derive(Debug, Default)]
pub(super) struct Seen {
    values: Vec<Value>,
    numbers: HashMap<Value, u32>,
}

impl Seen {
    fn hold(&mut self, value: Value) -> Held {
        let number = *self.numbers.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() as u32 - 1
        });
        Held { number, base: value.mem.base }
    }
}

/// Changes of a loaded value that are followed: to its byte order, and to some of its bits.
pub(super) const MOST_CHANGES: usize = 2;

impl Values {
    pub(super) fn of(self, register: Reg) -> Option<Held> {
        self.0[usize::from(register.number())]
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].filter(|value| other.0[at] == Some(*value))))
    }

    pub(super) fn behind(mut self, insn: &Insn, seen: &mut Seen) -> Self {
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
        let held = match *insn {
            Insn::Load { size, mem, .. } => {
                Some(seen.hold(Value { size, mem, changes: [None; MOST_CHANGES] }))
            }
            Insn::Alu { width: Width::W64, op: AluOp::Mov, src: Src::Reg(other), .. } => self.of(other),
            Insn::Alu { op: AluOp::And, src: Src::Imm(_), .. } | Insn::End { .. } => {
                self.of(register).and_then(|held| {
                    let mut value = seen.values[held.number as usize];
                    *value.changes.iter_mut().find(|change| change.is_none())? = Some(*insn);
                    Some(seen.hold(value))
                })
            }
            _ => None,
        };
        for held in &mut self.0 {
            *held = held.filter(|held| held.base != register);
        }
        self.0[usize::from(register.number())] = held.filter(|held| held.base != register);
        self
    }
}
