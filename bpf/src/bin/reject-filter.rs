//! `reject-filter`: drops everything.
#![no_std]
#![no_main]

use aya_ebpf::macros::btf_map;
use weir_bpf::{Hook, Verdict, Verdicts, decide, programs};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

programs!("reject", reject);

#[inline(always)]
fn reject<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |_| Verdict::Drop)
}
