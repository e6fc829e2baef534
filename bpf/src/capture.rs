//! A copy of each CPU's last packet.

use aya_ebpf::btf_maps::PerCpuArray;
use weir_wire::maps::{CAPTURE_LEN, Capture};

use crate::{hook::Hook, packet::Packet};

/// Each CPU's last packet.
pub type Captures = PerCpuArray<Capture, 1>;

/// Keeps a copy of the packet's beginning.
#[inline(always)]
pub fn keep_a_copy<H: Hook>(packet: &Packet<'_, H>, captures: &'static Captures) {
    let Some(capture) = captures.get_ptr_mut(0) else { return };
    let len = packet.length();
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
