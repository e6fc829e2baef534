//! Bounds that any verifier sees.
//!
//! What a verifier infers from comparisons that a compiler placed differs from kernel to kernel, and compilers compare a
//! copy of what they go on with. Here the register that is compared is the one that goes on, and the comparison is an
//! unsigned one with a constant.

/// `value`, or `MOST` where it is more.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) fn at_most<const MOST: u32>(value: u32) -> u32 {
    let mut bounded = u64::from(value);
    // SAFETY: it touches its register alone.
    unsafe {
        core::arch::asm!(
            "if {bounded} <= {most} goto +1",
            "{bounded} = {most}",
            bounded = inout(reg) bounded,
            most = const MOST,
            options(pure, nomem, nostack),
        );
    }
    bounded as u32
}

/// `value`, or `MOST` where it is more: for a lint of this package, which compiles it for the machine that it runs on.
#[cfg(not(target_arch = "bpf"))]
pub(crate) fn at_most<const MOST: u32>(value: u32) -> u32 {
    value.min(MOST)
}

/// A length for a call that takes neither 0 nor more than a buffer has: `len`, or `LAST` + 1 where it is more. 0 is taken
/// for more.
#[inline(always)]
pub(crate) fn length<const LAST: u32>(len: u32) -> u32 {
    at_most::<LAST>(len.wrapping_sub(1)) + 1
}

/// The address behind a byte, which the compiler doesn't know to be that, so that it compares what it is told to compare.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) fn behind(byte: usize) -> usize {
    let mut behind = byte as u64;
    // SAFETY: it touches its register alone.
    unsafe { core::arch::asm!("{behind} += 1", behind = inout(reg) behind, options(pure, nomem, nostack)) };
    behind as usize
}

/// The address behind a byte: for a lint of this package, which compiles it for the machine that it runs on.
#[cfg(not(target_arch = "bpf"))]
pub(crate) fn behind(byte: usize) -> usize {
    byte + 1
}
