//! The instructions of a compiled or generated object, changed in place: nothing moves, so that jumps, relocations and
//! type information stay right.

use std::ops::Range;

use anyhow::Context as _;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use weir_asm::{AluOp, Cond, Endian, Insn, Reg, Src, decode};

/// Applies `change` to each instruction of that program of the object, and gives how many it changed.
///
/// # Errors
/// The object can't be read as ELF, has no such program, or has no instructions there.
pub(super) fn change(
    elf: &mut [u8],
    program: &str,
    change: impl Fn(&[Insn], usize) -> Option<Insn>,
) -> anyhow::Result<usize> {
    let range = range_of(elf, program).with_context(|| format!("the object has no program '{program}'"))?;
    let mut code = decode(&elf[range.clone()], Endian::NATIVE)?;
    let insns = code.insns().to_vec();
    let mut changed = 0;
    for (index, insn) in code.insns_mut().iter_mut().enumerate() {
        if let Some(new) = change(&insns, index).filter(|new| new != insn) {
            *insn = new;
            changed += 1;
        }
    }
    elf[range].copy_from_slice(&code.encode(Endian::NATIVE)?);
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

/// The register and the immediate of such an operation, of 64 or 32 bits.
pub(crate) fn alu(insn: Insn, operation: AluOp) -> Option<(Reg, i32)> {
    match insn {
        Insn::Alu { op, dst, src: Src::Imm(imm), .. } if op == operation => Some((dst, imm)),
        _ => None,
    }
}

/// The immediate that it compares with, for equality or as bits.
pub(super) fn compared(insn: Insn) -> Option<i32> {
    match insn {
        Insn::Jump { cond: Cond::Eq | Cond::Ne | Cond::Set, src: Src::Imm(imm), .. } => Some(imm),
        _ => None,
    }
}

/// With another immediate, where it has one of 32 bits.
pub(crate) fn with_imm(mut insn: Insn, new: i32) -> Insn {
    if let Insn::Alu { src: Src::Imm(imm), .. }
    | Insn::Jump { src: Src::Imm(imm), .. }
    | Insn::Store { src: Src::Imm(imm), .. } = &mut insn
    {
        *imm = new;
    }
    insn
}
