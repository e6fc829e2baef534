//! What can be wrong with an instruction.

use std::fmt;

use crate::{Label, Line, Severity, Undecodable};

/// Something wrong with one instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The instruction's index.
    pub index: usize,
    /// The instruction, in `fun` syntax.
    pub text: String,
    /// Its source line, where it has one.
    pub line: Option<Line>,
    /// What is wrong.
    pub kind: ProblemKind,
}

impl Problem {
    /// Whether the kernel refuses it.
    pub const fn severity(&self) -> Severity {
        match self.kind {
            ProblemKind::CallReg => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}", self.index)?;
        if let Some(line) = self.line {
            write!(f, ", line {}", line.number)?;
        }
        write!(f, ": {}: {}", self.text, self.kind)
    }
}

/// What can be wrong with an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// r10 points at the stack for good.
    #[error("it writes r10, which can only be read")]
    WritesFramePointer,
    /// A label that was never placed.
    #[error("its label has no place")]
    Unplaced(Label),
    /// A jump to before the first instruction or behind the last.
    #[error("it goes to slot {slot}, and the program has slots 0 to {last}")]
    OutsideProgram {
        /// Where it goes.
        slot: i64,
        /// The last slot that there is.
        last: i64,
    },
    /// A jump into the middle of an instruction of two slots.
    #[error("it goes to slot {slot}, the second half of a 64-bit immediate")]
    SecondHalf {
        /// Where it goes.
        slot: i64,
    },
    /// A distance that does not fit its field.
    #[error("it goes {distance} slots, and 16 bits reach from -32768 to 32767")]
    TooFar {
        /// In slots.
        distance: i64,
    },
    /// A jump from one function into another.
    #[error("it jumps into another function")]
    OtherFunction,
    /// Nothing comes after it.
    #[error("the program goes on behind its last instruction")]
    FallsOff,
    /// A function runs on into the next.
    #[error("the function goes on into the next one")]
    FallsIntoFunction,
    /// Nothing leads to it.
    #[error("nothing leads here")]
    Unreachable,
    /// The program never ends.
    #[error("no `exit` is ever reached")]
    NoExit,
    /// Memory at r10 that is no stack.
    #[error("{size} bytes at r10 + {off} are not within the stack, r10 + -512 to r10")]
    OutsideStack {
        /// Bytes from r10.
        off: i16,
        /// In bytes.
        size: usize,
    },
    /// The kernel wants whole units on the stack.
    #[error("{size} bytes at r10 + {off} are not aligned to {size}")]
    Misaligned {
        /// Bytes from r10.
        off: i16,
        /// In bytes.
        size: usize,
    },
    /// Functions that call each other take too much together.
    #[error("this call and what called it take {bytes} bytes of stack, and there are 512")]
    StackTotal {
        /// In bytes, as the kernel rounds them up.
        bytes: i64,
    },
    /// A function that calls itself, however indirectly.
    #[error("it calls a function that it is called from")]
    Recursion,
    /// A shift by as much as there is, or by less than nothing.
    #[error("it shifts {width} bits by {by}")]
    Shift {
        /// How wide the operation is.
        width: u8,
        /// By how much it shifts.
        by: i32,
    },
    /// The kernel refuses what is surely one.
    #[error("it divides by 0")]
    DivisionByZero,
    /// 32 bits extended to 32 bits.
    #[error("32 bits are not extended by a move of 32 bits")]
    MovSx,
    /// A raw slot that is no instruction.
    #[error("{0}")]
    Raw(Undecodable),
    /// Not in RFC 9669, and unknown to most kernels.
    #[error("most kernels know no call through a register")]
    CallReg,
}

impl ProblemKind {
    /// What to do about it, where that is not plain.
    pub fn help(self) -> Option<String> {
        let help = match self {
            Self::WritesFramePointer => "copy it first: mov r2, r10",
            Self::TooFar { .. } => "`gotol` reaches further",
            Self::FallsOff => "end with `exit`, or jump back",
            Self::FallsIntoFunction => "end it with `exit` or a jump",
            Self::Unreachable => "take it out, or jump to it; the kernel refuses instructions that never run",
            Self::OutsideStack { .. } | Self::StackTotal { .. } => "keep larger things in a percpu_array map",
            _ => return None,
        };
        Some(help.to_owned())
    }
}
