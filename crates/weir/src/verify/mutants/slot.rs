//! The instructions of a compiled or generated object, changed in place: nothing moves, so that jumps, relocations and
//! type information stay right.

use object::{Object as _, ObjectSection as _, SectionKind};

/// Bytes of an instruction (RFC 9669, section 3).
const SLOT: usize = 8;

/// `lddw`, the one instruction with a second slot, which holds the upper half of its immediate.
pub(super) const LDDW: u8 = 0x18;

/// An instruction's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) op: u8,
    /// Source in the high, destination in the low four bits, as little-endian machines have it.
    pub(super) registers: u8,
    pub(super) off: i16,
    pub(super) imm: i32,
    /// Upper half of a 64-bit immediate; 0 in other instructions.
    pub(super) upper: i32,
}

/// Applies `change` to each instruction of the object's code, and gives how many it changed.
///
/// # Errors
/// The object can't be read as ELF.
pub(super) fn change(
    elf: &mut [u8],
    change: impl Fn(&[Slot], usize) -> Option<Slot>,
) -> anyhow::Result<usize> {
    let mut ranges = Vec::new();
    for section in object::File::parse(&*elf)?.sections() {
        if section.kind() == SectionKind::Text {
            ranges.extend(section.file_range().map(|(at, len)| at as usize..(at + len) as usize));
        }
    }
    let mut changed = 0;
    for range in ranges {
        let (places, slots) = read(&elf[range.clone()]);
        for (index, place) in places.into_iter().enumerate() {
            if let Some(new) = change(&slots, index).filter(|new| *new != slots[index]) {
                new.write(&mut elf[range.start + place..]);
                changed += 1;
            }
        }
    }
    Ok(changed)
}

/// Each instruction, and where it stands.
fn read(code: &[u8]) -> (Vec<usize>, Vec<Slot>) {
    let (mut places, mut slots) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at + SLOT <= code.len() {
        places.push(at);
        let slot = Slot::read(&code[at..]);
        slots.push(slot);
        at += if slot.op == LDDW { 2 * SLOT } else { SLOT };
    }
    (places, slots)
}

impl Slot {
    fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| {
            bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| i32::from_ne_bytes(*word))
        };
        let off = i16::from_ne_bytes([bytes[2], bytes[3]]);
        let upper = if bytes[0] == LDDW { word(SLOT + 4) } else { 0 };
        Self { op: bytes[0], registers: bytes[1], off, imm: word(4), upper }
    }

    fn write(self, bytes: &mut [u8]) {
        bytes[0] = self.op;
        bytes[1] = self.registers;
        bytes[2..4].copy_from_slice(&self.off.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.imm.to_ne_bytes());
        if self.op == LDDW {
            bytes[12..16].copy_from_slice(&self.upper.to_ne_bytes());
        }
    }

    /// Whether it compares with its immediate, for equality or as bits (`jeq`, `jne`, `jset`, of 64 or 32 bits).
    pub(super) fn is_comparison(self) -> bool {
        matches!(self.op, 0x15 | 0x55 | 0x45 | 0x16 | 0x56 | 0x46)
    }

    /// Whether it is an operation on a register and its immediate, of 64 or 32 bits; `operation` as in the high four bits
    /// of the opcode.
    pub(super) fn is_alu(self, operation: u8) -> bool {
        matches!(self.op & 0x0f, 0x07 | 0x04) && self.op & 0xf0 == operation
    }

    /// The register that it writes to.
    pub(super) fn destination(self) -> u8 {
        self.registers & 0xf
    }

    /// The register that it reads from.
    pub(super) fn source(self) -> u8 {
        self.registers >> 4
    }
}
