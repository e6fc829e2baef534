//! How much of the stack a program uses, as its instructions say.

use weir_asm::{AluOp, Call, Code, Insn, Mem, Reg, Src, Width};

/// The frame pointer's offset that each register holds, where it holds one.
type FramePointers = [Option<i64>; 11];

const START: FramePointers = {
    let mut frame = [None; 11];
    frame[Reg::R10 as usize] = Some(0);
    frame
};

/// The deepest byte of a frame that a load, a store or an argument of a call names; of several functions the largest.
///
/// Instructions are followed as they stand, whatever jumps between them: compilers and the generators of this
/// workspace make an address just before they use it.
pub(super) fn bytes(code: &Code) -> usize {
    let mut frame = START;
    let deepest = code.insns().iter().map(|insn| step(&mut frame, insn)).max();
    deepest.map_or(0, |bytes| bytes as usize)
}

/// Does to the frame what the instruction does; the deepest byte that it names, as a positive number.
fn step(frame: &mut FramePointers, insn: &Insn) -> i64 {
    let depth = |offset: Option<i64>| offset.map_or(0, |offset| (-offset).max(0));
    let at = |frame: &FramePointers, mem: Mem| {
        depth(frame[mem.base as usize].map(|base| base + i64::from(mem.off)))
    };
    match *insn {
        Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Src::Reg(src) } => {
            frame[dst as usize] = frame[src as usize];
            0
        }
        Insn::Alu { width: Width::W64, op: AluOp::Add, dst, src: Src::Imm(by) } => {
            frame[dst as usize] = frame[dst as usize].map(|offset| offset + i64::from(by));
            0
        }
        Insn::Alu { width: Width::W64, op: AluOp::Sub, dst, src: Src::Imm(by) } => {
            frame[dst as usize] = frame[dst as usize].map(|offset| offset - i64::from(by));
            0
        }
        Insn::Load { dst, mem, .. } | Insn::LoadSx { dst, mem, .. } => {
            let bytes = at(frame, mem);
            frame[dst as usize] = None;
            bytes
        }
        Insn::Store { mem, .. } => at(frame, mem),
        Insn::Atomic(atomic) => at(frame, atomic.mem),
        Insn::Call(call) => {
            let arguments = &frame[Reg::R1 as usize..=Reg::R5 as usize];
            let bytes = arguments.iter().map(|offset| depth(*offset)).max().unwrap_or(0);
            frame[..=Reg::R5 as usize].fill(None);
            // A function's arguments point into its caller's frame, which has been counted.
            if matches!(call, Call::Local(_)) { 0 } else { bytes }
        }
        Insn::Alu { dst, .. }
        | Insn::MovSx { dst, .. }
        | Insn::Neg { dst, .. }
        | Insn::End { dst, .. }
        | Insn::LoadImm { dst, .. } => {
            frame[dst as usize] = None;
            0
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use weir_asm::text;

    use super::*;

    fn check(text: &str, expected: usize) {
        let code = text::assemble_code(text.as_bytes()).expect("it assembles");
        assert_eq!(bytes(&code), expected, "{text}");
    }

    #[test]
    fn the_deepest_byte_that_is_stored_loaded_or_passed_counts() {
        check("mov r0, 0\nexit\n", 0);
        check("stw [r10 - 4], 0\nexit\n", 4);
        check("stdw [r10 - 24], 0\nldxb r1, [r10 - 3]\nexit\n", 24);
        check("mov r2, r10\nadd r2, -40\ncall map_lookup_elem\nexit\n", 40);
        check("mov r2, r10\nsub r2, 48\nstxb [r2 + 8], r1\nexit\n", 40);
    }

    #[test]
    fn an_address_that_is_overwritten_or_unused_does_not_count() {
        check("mov r2, r10\nadd r2, -40\nmov r2, 0\ncall map_lookup_elem\nexit\n", 0);
        check("mov r2, r10\nadd r2, -40\ncall map_lookup_elem\ncall map_lookup_elem\nexit\n", 40);
        check("mov r6, r10\nadd r6, -40\nmov r0, 0\nexit\n", 0);
        check("mov r2, r1\nadd r2, -40\nldxb r0, [r2 + 0]\nexit\n", 0);
    }
}
