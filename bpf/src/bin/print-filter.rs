//! `print-filter`: accepts everything and keeps a copy of each CPU's last packet.
#![no_std]
#![no_main]

use aya_ebpf::macros::btf_map;
use weir_bpf::{Captures, Hook, Verdict, Verdicts, decide, keep_a_copy, programs};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "capture")]
static CAPTURE: Captures = Captures::new();

programs!("print", print);

#[inline(always)]
fn print<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |packet| {
        keep_a_copy(packet, &CAPTURE);
        Verdict::Accept
    })
}
