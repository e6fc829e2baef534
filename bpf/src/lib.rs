//! What the BPF programs share: reading the packet, the verdict and its per-CPU counts, the licence.
#![no_std]

mod command;
mod verdict;

pub use command::{FirstBytes, Head};
pub use verdict::{Verdict, Verdicts, count};

/// The licence that the kernel reads: some helpers are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program from which this can be reached.
    loop {}
}
