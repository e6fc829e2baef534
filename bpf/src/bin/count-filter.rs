//! `count-filter`: accepts everything and counts it.
#![no_std]
#![no_main]

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use weir_bpf::{Hook, Verdict, Verdicts, decide, programs};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "counter")]
static COUNTER: PerCpuArray<u64, 1> = PerCpuArray::new();

programs!("count_packets", count_packets);

#[inline(always)]
fn count_packets<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |_| {
        if let Some(counter) = COUNTER.get_ptr_mut(0) {
            // SAFETY: the lookup gave a live slot, which its own CPU alone writes.
            unsafe { *counter += 1 };
        }
        Verdict::Accept
    })
}
