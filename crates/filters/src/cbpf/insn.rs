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

/// Where a jump goes; given out by [`ClassicCode::label`].
#[derive(Clone, Copy)]
pub(crate) struct ClassicLabel(usize);

/// A program in the making.
#[derive(Default)]
pub(crate) struct ClassicCode {
    insns: Vec<ClassicInsn>,
    /// Where each label stands.
    places: Vec<Option<usize>>,
    /// The jumps to resolve: which instruction's, and where to.
    jumps: Vec<(usize, ClassicLabel)>,
}

impl ClassicCode {
    pub(crate) fn label(&mut self) -> ClassicLabel {
        self.places.push(None);
        ClassicLabel(self.places.len() - 1)
    }

    /// Makes the label stand for the next instruction.
    pub(crate) fn place(&mut self, label: ClassicLabel) {
        self.places[label.0] = Some(self.insns.len());
    }

    pub(crate) fn push(&mut self, code: u16, k: u32) {
        self.insns.push(ClassicInsn { code, jt: 0, jf: 0, k });
    }

    /// On at `target` where A isn't k, and else at the next instruction.
    pub(crate) fn jump_unless(&mut self, k: u32, target: ClassicLabel) {
        self.jumps.push((self.insns.len(), target));
        self.push(JUMP_IF_EQUAL, k);
    }

    /// The program with its jumps resolved.
    ///
    /// # Panics
    /// A jump goes back, further than 255 instructions, or to a label that stands nowhere.
    pub(crate) fn finish(mut self) -> Vec<ClassicInsn> {
        for (at, ClassicLabel(label)) in self.jumps {
            let target = self.places[label].expect("every label that is jumped to is placed");
            let skipped = target.checked_sub(at + 1).and_then(|skipped| u8::try_from(skipped).ok());
            self.insns[at].jf = skipped.expect("classic jumps go at most 255 instructions forward");
        }
        self.insns
    }
}
