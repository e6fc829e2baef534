//! Classic BPF instructions, and jumps forward to labels.

/// An instruction as the kernel reads it (`struct sock_filter`, include/uapi/linux/filter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ClassicInsn {
    /// The operation.
    pub code: u16,
    /// Instructions to skip where a condition holds.
    pub jt: u8,
    /// The same where it doesn't.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// `A = the word of the packet at k`: `BPF_LD | BPF_W | BPF_ABS`. Words are big-endian; a load past the packet's end
/// ends the program, which drops the packet.
pub const LOAD_WORD: u16 = 0x20;
/// The same of 2 bytes.
pub const LOAD_HALF: u16 = 0x28;
/// The same of 1 byte.
pub const LOAD_BYTE: u16 = 0x30;
/// On at `jt` where A is k, else at `jf`: `BPF_JMP | BPF_JEQ | BPF_K`.
pub const JUMP_IF_EQUAL: u16 = 0x15;
/// The program's end, k bytes of the packet to keep: `BPF_RET | BPF_K`.
pub const RETURN: u16 = 0x06;

/// `A = the packet's length`, the UDP header counted: `BPF_LD | BPF_W | BPF_LEN`.
pub(super) const LOAD_LEN: u16 = 0x80;
/// `A = k`: `BPF_LD | BPF_IMM`.
pub(super) const LOAD_CONSTANT: u16 = 0x00;
/// `A = M[k]`, a word of the memory, which must have been stored on every way there: `BPF_LD | BPF_MEM`.
pub(super) const LOAD_MEMORY: u16 = 0x60;
/// `X = k`: `BPF_LDX | BPF_IMM`.
pub(super) const LOAD_X_CONSTANT: u16 = 0x01;
/// `X = M[k]`: `BPF_LDX | BPF_MEM`.
pub(super) const LOAD_X_MEMORY: u16 = 0x61;
/// `M[k] = A`: `BPF_ST`.
pub(super) const STORE: u16 = 0x02;
/// `X = A`: `BPF_MISC | BPF_TAX`.
pub(super) const COPY_TO_X: u16 = 0x07;
/// What makes a load of the packet at k one at X + k: `BPF_IND` less `BPF_ABS`.
pub(super) const INDEXED: u16 = 0x20;
/// `A += k`: `BPF_ALU | BPF_ADD | BPF_K`; 32 bits, as everything is.
pub(super) const ADD: u16 = 0x04;
/// `A -= k`.
pub(super) const SUBTRACT: u16 = 0x14;
/// `A |= k`.
pub(super) const OR: u16 = 0x44;
/// `A &= k`.
pub(super) const AND: u16 = 0x54;
/// `A <<= k`, by at most 31.
pub(super) const SHIFT_LEFT: u16 = 0x64;
/// `A >>= k`, by at most 31.
pub(super) const SHIFT_RIGHT: u16 = 0x74;
/// `A ^= k`.
pub(super) const XOR: u16 = 0xa4;
/// On at `jt` where A is greater than k: `BPF_JMP | BPF_JGT | BPF_K`. Numbers have no sign.
pub(super) const JUMP_IF_GREATER: u16 = 0x25;
/// On at `jt` where A is at least k.
pub(super) const JUMP_IF_AT_LEAST: u16 = 0x35;
/// What makes an operation or a jump one with X in place of k: `BPF_X`.
pub(super) const WITH_X: u16 = 0x08;
/// On behind the next k instructions: `BPF_JMP | BPF_JA`.
pub(super) const JUMP: u16 = 0x05;

/// How many instructions a conditional jump skips at most, where jumps of its own may stand behind it.
const NEAR: usize = u8::MAX as usize - 2;

/// Where a jump goes; given out by [`ClassicCode::label`].
#[derive(Clone, Copy)]
pub(crate) struct ClassicLabel(usize);

/// A program in the making.
#[derive(Default)]
pub(crate) struct ClassicCode {
    steps: Vec<Step>,
    /// Where each label stands.
    places: Vec<Option<usize>>,
}

/// An instruction whose jumps are not resolved.
struct Step {
    code: u16,
    k: u32,
    /// Where it goes on where its condition holds, and where it doesn't; nothing for the next one.
    targets: [Option<ClassicLabel>; 2],
}

impl ClassicCode {
    pub(crate) fn label(&mut self) -> ClassicLabel {
        self.places.push(None);
        ClassicLabel(self.places.len() - 1)
    }

    /// Makes the label stand for the next instruction.
    pub(crate) fn place(&mut self, label: ClassicLabel) {
        self.places[label.0] = Some(self.steps.len());
    }

    pub(crate) fn push(&mut self, code: u16, k: u32) {
        self.branch(code, k, [None, None]);
    }

    /// On at the first target where the condition holds, and at the second where it doesn't; at the next instruction where there
    /// is none.
    pub(crate) fn branch(&mut self, code: u16, k: u32, targets: [Option<ClassicLabel>; 2]) {
        self.steps.push(Step { code, k, targets });
    }

    /// On at `target` where A isn't k, and else at the next instruction.
    pub(crate) fn jump_unless(&mut self, k: u32, target: ClassicLabel) {
        self.branch(JUMP_IF_EQUAL, k, [None, Some(target)]);
    }

    /// On at `target`.
    pub(crate) fn jump(&mut self, target: ClassicLabel) {
        self.branch(JUMP, 0, [Some(target), None]);
    }

    /// Instructions so far. Jumps may be resolved by more of them, or by none.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The program with its jumps resolved: a conditional one that goes further than its 8 bits goes to a jump of its own, and a
    /// jump to what stands next is left out.
    ///
    /// # Panics
    /// A jump goes back, or to a label that stands nowhere.
    pub(crate) fn finish(self) -> Vec<ClassicInsn> {
        // From the end on: how far a jump goes depends on what stands behind it alone.
        let mut reversed = Vec::with_capacity(self.steps.len());
        // How many instructions there are from each step on.
        let mut left = vec![0; self.steps.len() + 1];
        for (at, Step { code, k, targets }) in self.steps.iter().enumerate().rev() {
            let skipped = targets.map(|target| {
                let Some(ClassicLabel(label)) = target else { return 0 };
                let place = self.places[label].expect("every label that is jumped to is placed");
                assert!(place > at, "classic jumps go forward");
                left[at + 1] - left[place]
            });
            match skipped {
                [0, _] if *code == JUMP => {}
                [skipped, _] if *code == JUMP => reversed.push(jump_over(skipped)),
                _ => push_reversed(&mut reversed, *code, *k, skipped),
            }
            left[at] = reversed.len();
        }
        reversed.reverse();
        reversed
    }
}

fn jump_over(skipped: usize) -> ClassicInsn {
    ClassicInsn { code: JUMP, jt: 0, jf: 0, k: skipped as u32 }
}

/// An instruction, before it the jumps to what it doesn't reach itself: first the one for where its condition doesn't hold.
fn push_reversed(reversed: &mut Vec<ClassicInsn>, code: u16, k: u32, [yes, no]: [usize; 2]) {
    let [is_yes_far, is_no_far] = [yes, no].map(|skipped| skipped > NEAR);
    if is_no_far {
        reversed.push(jump_over(no));
    }
    if is_yes_far {
        reversed.push(jump_over(yes + usize::from(is_no_far)));
    }
    let jumps = usize::from(is_yes_far) + usize::from(is_no_far);
    let jt = if is_yes_far { 0 } else { yes + jumps };
    let jf = if is_no_far { usize::from(is_yes_far) } else { no + jumps };
    reversed.push(ClassicInsn { code, jt: jt as u8, jf: jf as u8, k });
}
