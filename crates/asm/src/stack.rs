//! Instructions that put things on the stack, with the widest stores that fit.

use crate::{Insn, Mem, Reg, Size, Src};

/// Puts bytes at r10 + `off`, the first one lowest; `off` is negative. Nothing else is touched, no register needed. For a little-endian
/// machine.
///
/// The kernel wants stores to the stack aligned to their size, so that an `off` that 8 divides takes the fewest
/// instructions: one for each 8 bytes whose upper half is the sign of its lower one, otherwise one for each 4.
///
/// ```
/// use weir_asm::{Code, stack::string_on_stack};
///
/// let code: Code = string_on_stack(b"calls\n\0\0", -8).collect();
/// assert_eq!(code.len(), 2);
/// ```
///
/// # Panics
/// If the bytes are not within r10 + -512 and r10.
pub fn string_on_stack(bytes: &[u8], off: i16) -> impl Iterator<Item = Insn> {
    check_range(off, bytes.len());
    pieces(off, bytes.len(), |at, size| size < Size::Dw.bytes() || sign_extends(&bytes[at..at + size])).map(
        move |(at, size)| {
            let mut word = [0; 8];
            word[..size.bytes()].copy_from_slice(&bytes[at..at + size.bytes()]);
            let imm = u64::from_le_bytes(word) as i32;
            Insn::Store { size, mem: stack(off, at), src: Src::Imm(imm) }
        },
    )
}

/// Puts zeros at r10 + `off`, `len` bytes of them; `off` is negative.
///
/// # Panics
/// If the bytes are not within r10 + -512 and r10.
pub fn zero_on_stack(len: usize, off: i16) -> impl Iterator<Item = Insn> {
    check_range(off, len);
    pieces(off, len, |_, _| true).map(move |(at, size)| Insn::Store {
        size,
        mem: stack(off, at),
        src: Src::Imm(0),
    })
}

/// Copies `len` bytes from memory to r10 + `off` through the register `via`; `off` is negative.
///
/// The units are those that the stack's side is aligned to: what `from` points at must be aligned alike, or be memory
/// that the kernel lets be read unaligned.
///
/// # Panics
/// If the bytes are not within r10 + -512 and r10, or the last byte is further than 32 767 behind `from`'s register.
pub fn copy_to_stack(from: Mem, len: usize, off: i16, via: Reg) -> impl Iterator<Item = Insn> {
    check_range(off, len);
    let last = i64::from(from.off) + len as i64;
    assert!(last <= i64::from(i16::MAX), "copying to byte {last} behind {}: offsets have 16 bits", from.base);
    pieces(off, len, |_, _| true).flat_map(move |(at, size)| {
        let from = Mem { off: from.off + at as i16, ..from };
        [
            Insn::Load { size, dst: via, mem: from },
            Insn::Store { size, mem: stack(off, at), src: Src::Reg(via) },
        ]
    })
}

fn stack(off: i16, at: usize) -> Mem {
    Mem { base: Reg::R10, off: off + at as i16 }
}

fn check_range(off: i16, len: usize) {
    let end = i64::from(off) + len as i64;
    assert!(
        off >= -512 && end <= 0,
        "{len} bytes at r10 + {off} are not within the stack, r10 + -512 to r10"
    );
}

/// Where each unit begins and how large it is: the widest that is aligned, left, and `fits`.
fn pieces(off: i16, len: usize, fits: impl Fn(usize, usize) -> bool) -> impl Iterator<Item = (usize, Size)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let widest = [Size::Dw, Size::W, Size::H, Size::B].into_iter().find(|size| {
            let bytes = size.bytes();
            let aligned = (i64::from(off) + at as i64) % bytes as i64 == 0;
            aligned && bytes <= len - at && fits(at, bytes)
        })?;
        let piece = (at, widest);
        at += widest.bytes();
        Some(piece)
    })
}

/// Whether a store of 8 bytes, whose immediate is sign-extended from 32 bits, can write them.
fn sign_extends(bytes: &[u8]) -> bool {
    let word = bytes.try_into().map(i64::from_le_bytes);
    word.is_ok_and(|word| i32::try_from(word).is_ok())
}
