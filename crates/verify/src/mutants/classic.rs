//! The faults that are planted in classic BPF, as a change to each of its instructions that says it.

use weir_filters::{
    FilterName::{self, RobustValidCommand as Robust, ValidCommand as Valid},
    Layer,
    cbpf::{ClassicInsn, JUMP_IF_EQUAL, LOAD_HALF, LOAD_WORD, RETURN},
};
use weir_wire::{Command, udp};

use super::faults::{Fault, FaultKind};

const fn fault(
    name: &'static str,
    filter: FilterName,
    change: fn(ClassicInsn) -> Option<ClassicInsn>,
) -> Fault {
    Fault { name, filter, layers: &[Layer::Udp], kind: FaultKind::Classic(change) }
}

/// All of them.
pub(super) const FAULTS: &[Fault] = &[
    fault("PUT misspelt", Valid, |insn| misspelt(Command::Put, insn)),
    fault("GET misspelt", Valid, |insn| misspelt(Command::Get, insn)),
    fault("DELETE misspelt", Valid, |insn| misspelt(Command::Delete, insn)),
    fault("STOP misspelt", Valid, |insn| misspelt(Command::Stop, insn)),
    fault("the end of DELETE mistaken", Valid, |insn| {
        let end = first_letters(&Command::Delete.word()[size_of::<u32>()..]);
        compared(insn, end).then_some(ClassicInsn { k: end ^ 1, ..insn })
    }),
    fault("what accepts returns what drops", Valid, |insn| returns(insn, u32::MAX, 0)),
    fault("what drops returns what accepts", Valid, |insn| returns(insn, 0, u32::MAX)),
    fault("payload read one byte too far", Valid, |insn| {
        let is_read = is_load(insn) && insn.k as usize >= udp::PAYLOAD_OFFSET;
        is_read.then(|| ClassicInsn { k: insn.k + 1, ..insn })
    }),
    fault("four letters loaded as two", Valid, |insn| {
        (insn.code == LOAD_WORD).then_some(ClassicInsn { code: LOAD_HALF, ..insn })
    }),
    fault("jumps where it holds and not where it doesn't", Valid, |insn| {
        (insn.code == JUMP_IF_EQUAL).then_some(ClassicInsn { jt: insn.jf, jf: insn.jt, ..insn })
    }),
    fault("length of PUT off by one", Robust, |insn| longer(Command::Put, insn)),
    fault("length of GET off by one", Robust, |insn| longer(Command::Get, insn)),
    fault("length of DELETE off by one", Robust, |insn| longer(Command::Delete, insn)),
    fault("length of STOP off by one", Robust, |insn| longer(Command::Stop, insn)),
    fault("length in the wrong byte order", Robust, |insn| {
        let length =
            Command::ALL.map(length_of).into_iter().find(|length| compared(insn, (*length).into()))?;
        Some(ClassicInsn { k: length.swap_bytes().into(), ..insn })
    }),
    fault("length read where the destination port is", Robust, |insn| {
        let is_read = is_load(insn) && insn.k as usize == udp::LENGTH_OFFSET;
        is_read.then_some(ClassicInsn { k: udp::DESTINATION_OFFSET as u32, ..insn })
    }),
];

/// The first letters of a word as they are compared, the first one in the other case.
fn misspelt(command: Command, insn: ClassicInsn) -> Option<ClassicInsn> {
    const CASE: u32 = 0x20;
    let letters = first_letters(command.word());
    let first = letters.ilog2() / u8::BITS * u8::BITS;
    compared(insn, letters).then_some(ClassicInsn { k: letters ^ CASE << first, ..insn })
}

/// As many as are compared at once: four, or else two.
fn first_letters(word: &[u8]) -> u32 {
    let len = if word.len() >= size_of::<u32>() { size_of::<u32>() } else { size_of::<u16>() };
    word[..len].iter().fold(0, |letters, letter| letters << u8::BITS | u32::from(*letter))
}

fn longer(command: Command, insn: ClassicInsn) -> Option<ClassicInsn> {
    let length = length_of(command).into();
    compared(insn, length).then_some(ClassicInsn { k: length + 1, ..insn })
}

fn length_of(command: Command) -> u16 {
    udp::length_field(command.request_len())
}

fn returns(insn: ClassicInsn, value: u32, other: u32) -> Option<ClassicInsn> {
    (insn.code == RETURN && insn.k == value).then_some(ClassicInsn { k: other, ..insn })
}

fn compared(insn: ClassicInsn, value: u32) -> bool {
    insn.code == JUMP_IF_EQUAL && insn.k == value
}

fn is_load(insn: ClassicInsn) -> bool {
    !matches!(insn.code, JUMP_IF_EQUAL | RETURN)
}
