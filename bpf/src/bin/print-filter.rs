//! `print-filter`: accepts everything and keeps a copy of each CPU's last packet.
#![no_std]
#![no_main]

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use weir_bpf::{Hook, Packet, Verdict, Verdicts, decide, programs};
use weir_wire::maps::{CAPTURE_LEN, Capture};

#[btf_map(name = "verdicts")]
static VERDICTS: Verdicts = Verdicts::new();

#[btf_map(name = "capture")]
static CAPTURE: PerCpuArray<Capture, 1> = PerCpuArray::new();

programs!("print", print);

#[inline(always)]
fn print<H: Hook>(hook: &H) -> i64 {
    decide(hook, &VERDICTS, |packet| {
        keep_a_copy(packet);
        Verdict::Accept
    })
}

#[inline(always)]
fn keep_a_copy<H: Hook>(packet: &Packet<'_, H>) {
    let Some(capture) = CAPTURE.get_ptr_mut(0) else { return };
    let len = packet.len();
    let captured = len.min(CAPTURE_LEN as u32);
    if captured == 0 {
        return;
    }
    // SAFETY: the lookup gave a live slot, `captured` is at most the length of its buffer, and a per-CPU slot is
    // written by its own CPU alone.
    unsafe {
        if packet.copy((&raw mut (*capture).bytes).cast(), captured) {
            (*capture).len = len;
            (*capture).captured = captured;
            (*capture).seen += 1;
        }
    }
}
