//! `print-filter`: a copy of each CPU's last packet.

use std::mem::offset_of;

use weir_asm::Code;
use weir_asm_macros::ebpf;
use weir_wire::maps::{self, CAPTURE_LEN, Capture};

use super::{command::SKB_LEN, map};

const SEEN: i16 = offset_of!(Capture, seen) as i16;

/// Keeps the packet's first bytes, how many they are, the packet's length, and how many packets came by.
pub(super) fn keep(code: &mut Code) {
    let kept = code.label("kept");
    ebpf! { in code; mov r6, r1 }
    map::look_up(code, maps::CAPTURE, kept);
    let most = CAPTURE_LEN as i32;
    ebpf! { in code;
        mov r7, r0
        ldxw r8, [r6 + $SKB_LEN]
        mov r9, r8
        jle r9, $most, whole
        mov r9, $most
    whole:
        jeq r9, 0, $kept
        mov r1, r6
        mov r2, 0
        mov r3, r7
        add r3, {offset_of!(Capture, bytes) as i32}
        mov r4, r9
        call skb_load_bytes
        jne r0, 0, $kept
        stxw [r7 + {offset_of!(Capture, len) as i16}], r8
        stxw [r7 + {offset_of!(Capture, captured) as i16}], r9
        ldxdw r1, [r7 + $SEEN]
        add r1, 1
        stxdw [r7 + $SEEN], r1
    $kept:
    }
}
