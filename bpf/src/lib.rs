//! What the BPF programs share: the hooks, finding and reading the packet, the verdict and its counts, the licence.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "what a map is given by value is copied once more"
)]

mod bounds;
mod capture;
mod command;
mod frame;
mod hook;
mod known_key;
mod packet;
mod pieces;
mod source_check;
mod verdict;
mod view;
mod window;
mod worker;

pub use capture::{Captures, keep_a_copy};
pub use command::*;
pub use hook::*;
pub use known_key::{Keys, asks_for_a_known_key};
pub use packet::{Head, Packet};
pub use source_check::{Blocked, Rate, Source, Sources, is_blocked, source, spend, spend_without_exchange};
pub use verdict::{Verdict, Verdicts, count, decide, decide_uncounted};

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
