//! The stack's words side by side.

use std::ops::Range;

use crate::{AluOp, Atomic, Code, Insn, Mem, Reg, Src, Width, check::memory};

/// What the stack is given in, and taken back.
const WORD: i16 = 8;
const WORDS: usize = 64;

impl Code {
    /// Moves what stands on the stack together, in words of 8 bytes: at each jump the verifier copies the stack down to the lowest one,
    /// also those that nothing ever stands in. In `blocks`, which addresses may point into, bytes stay as far from each other as they are.
    ///
    /// Whether it was done. Code that does anything with r10 but to load, to store, and to point into a block (`mov`, and `add` behind it)
    /// stays as it is.
    pub fn pack_stack(&mut self, blocks: &[Range<i16>]) -> bool {
        let Some(used) = self.words_used(blocks) else { return false };
        let mut unused = 0;
        let moved = used.map(|is_used| {
            unused += i16::from(!is_used);
            unused * WORD
        });
        let packed = |off: i16| word(off).map_or(off, |word| off + moved[word]);
        let mut is_address = false;
        for insn in self.insns_mut() {
            match insn {
                Insn::Alu { src: Src::Imm(imm), .. } if is_address => *imm = packed(*imm as i16).into(),
                Insn::Load { mem, .. }
                | Insn::LoadSx { mem, .. }
                | Insn::Store { mem, .. }
                | Insn::Atomic(Atomic { mem, .. })
                    if mem.base == Reg::R10 =>
                {
                    mem.off = packed(mem.off);
                }
                _ => {}
            }
            is_address = address_of_frame(insn).is_some();
        }
        true
    }

    /// Which of the stack's words, from the highest one on, are used; nothing where that can't be known.
    fn words_used(&self, blocks: &[Range<i16>]) -> Option<[bool; WORDS]> {
        let mut used = [false; WORDS];
        let mut insns = self.insns().iter();
        while let Some(insn) = insns.next() {
            let bytes = if let Some(register) = address_of_frame(insn) {
                let Some(&Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src: Src::Imm(off) }) =
                    insns.next()
                else {
                    return None;
                };
                let off = i16::try_from(off).ok().filter(|_| dst == register)?;
                blocks.iter().find(|block| block.contains(&off))?.clone()
            } else if is_of_frame(insn) {
                return None;
            } else if let Some((Mem { base: Reg::R10, off }, len)) = memory(insn) {
                off..off.checked_add(len as i16)?
            } else {
                continue;
            };
            for byte in bytes {
                used[word(byte)?] = true;
            }
        }
        Some(used)
    }
}

/// Which word a byte is in.
fn word(off: i16) -> Option<usize> {
    usize::try_from((-1 - i32::from(off)) / i32::from(WORD)).ok().filter(|word| off < 0 && *word < WORDS)
}

/// The register that gets the frame's address.
fn address_of_frame(insn: &Insn) -> Option<Reg> {
    match *insn {
        Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Src::Reg(Reg::R10) } => Some(dst),
        _ => None,
    }
}

/// Whether it takes the frame's address for a number.
fn is_of_frame(insn: &Insn) -> bool {
    match *insn {
        Insn::Alu { dst, src, .. } | Insn::Jump { dst, src, .. } => {
            dst == Reg::R10 || src == Src::Reg(Reg::R10)
        }
        Insn::MovSx { dst, src, .. } => [dst, src].contains(&Reg::R10),
        Insn::Store { src, .. } => src == Src::Reg(Reg::R10),
        Insn::Atomic(atomic) => atomic.src == Reg::R10,
        Insn::Neg { dst, .. }
        | Insn::End { dst, .. }
        | Insn::LoadImm { dst, .. }
        | Insn::Load { dst, .. }
        | Insn::LoadSx { dst, .. } => dst == Reg::R10,
        _ => false,
    }
}
