//! A copy of each CPU's last packet.

use aya_ebpf::btf_maps::PerCpuArray;
use weir_wire::maps::{CAPTURE_LEN, Capture};

use crate::{bounds, hook::Hook, packet::Packet};

/// Each CPU's last packet.
pub type Captures = PerCpuArray<Capture, 1>;

/// Keeps a copy of the packet's beginning.
#[inline(always)]
pub fn keep_a_copy<H: Hook>(packet: &Packet<'_, H>, captures: &'static Captures) {
    let Some(capture) = captures.get_ptr_mut(0) else { return };
    let len = packet.length();
    if len == 0 {
        return;
    }
    let captured = bounds::length::<{ CAPTURE_LEN as u32 - 1 }>(len);
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
