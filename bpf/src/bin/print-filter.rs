//! `print-filter`: accepts everything and keeps a copy of each CPU's last packet.
#![no_std]
#![no_main]

use aya_ebpf::{
    EbpfContext as _,
    btf_maps::PerCpuArray,
    helpers::generated::bpf_skb_load_bytes,
    macros::{btf_map, socket_filter},
    programs::SkBuffContext,
};
use weir_bpf::{Verdict, Verdicts, count};
use weir_wire::maps::{CAPTURE_LEN, Capture};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "capture")]
static CAPTURE: PerCpuArray<Capture, 1> = PerCpuArray::new();

#[socket_filter]
fn print(ctx: SkBuffContext) -> i64 {
    keep_a_copy(&ctx);
    count(&VERDICTS, Verdict::Accept)
}

#[inline(always)]
fn keep_a_copy(ctx: &SkBuffContext) {
    let Some(capture) = CAPTURE.get_ptr_mut(0) else { return };
    let len = ctx.len();
    let captured = len.min(CAPTURE_LEN as u32);
    if captured == 0 {
        return;
    }
    // SAFETY: the lookup gave a live slot, `captured` is at most the length of its buffer, and a per-CPU slot is
    // written by its own CPU alone.
    unsafe {
        let bytes = (&raw mut (*capture).bytes).cast();
        if bpf_skb_load_bytes(ctx.as_ptr(), 0, bytes, captured) == 0 {
            (*capture).len = len;
            (*capture).captured = captured;
            (*capture).seen += 1;
        }
    }
}
