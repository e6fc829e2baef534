//! `count-filter`: accepts everything and counts it.
#![no_std]
#![no_main]

use aya_ebpf::{
    btf_maps::PerCpuArray,
    macros::{btf_map, socket_filter},
    programs::SkBuffContext,
};
use weir_bpf::{Verdict, Verdicts, count};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "counter")]
static COUNTER: PerCpuArray<u64, 1> = PerCpuArray::new();

#[socket_filter]
fn count_packets(_ctx: SkBuffContext) -> i64 {
    if let Some(counter) = COUNTER.get_ptr_mut(0) {
        // SAFETY: the lookup gave a live slot, which its own CPU alone writes.
        unsafe { *counter += 1 };
    }
    count(&VERDICTS, Verdict::Accept)
}
