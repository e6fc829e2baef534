//! The instructions of a compiled or generated object, changed in place: nothing moves, so that jumps, relocations and
//! type information stay right.

use std::ops::Range;

use anyhow::Context as _;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

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

/// Applies `change` to each instruction of that program of the object, and gives how many it changed.
///
/// # Errors
/// The object can't be read as ELF, or has no such program.
pub(super) fn change(
    elf: &mut [u8],
    program: &str,
    change: impl Fn(&[Slot], usize) -> Option<Slot>,
) -> anyhow::Result<usize> {
    let range = range_of(elf, program).with_context(|| format!("the object has no program '{program}'"))?;
    let code = &mut elf[range];
    let (places, slots) = read(code);
    let mut changed = 0;
    for (index, place) in places.into_iter().enumerate() {
        if let Some(new) = change(&slots, index).filter(|new| *new != slots[index]) {
            new.write(&mut code[place..]);
            changed += 1;
        }
    }
    Ok(changed)
}

/// Where its instructions stand in the file. An object may have a program for each hook, and one of them is loaded.
fn range_of(elf: &[u8], program: &str) -> Option<Range<usize>> {
    let file = object::File::parse(elf).ok()?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(program))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let (start, len) = section.file_range()?;
    let at = start + symbol.address() - section.address();
    let len = if symbol.size() == 0 { start + len - at } else { symbol.size() };
    Some(at as usize..(at + len) as usize)
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
