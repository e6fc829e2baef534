//! `print-filter`: a copy of each CPU's last packet.

use std::mem::offset_of;

use weir_asm::Code;
use weir_asm_macros::ebpf;
use weir_wire::{
    maps::{self, CAPTURE_LEN, Capture},
    udp,
};

use super::{
    access::Access,
    map,
    parse::{AT, LENGTH},
};

const SEEN: i16 = offset_of!(Capture, seen) as i16;

/// Keeps the packet's first bytes, how many they are, the packet's length, and how many packets came by.
pub(super) fn keep(code: &mut Code, access: &Access) {
    let kept = code.label("kept");
    map::look_up(code, maps::CAPTURE, kept);
    let most = CAPTURE_LEN as i32;
    ebpf! { in code;
        mov r8, r0
        mov r2, $AT
        sub r2, {udp::PAYLOAD_OFFSET as i32}
        mov r7, $LENGTH
        jle r7, $most, whole
        mov r7, $most
    whole:
        jlt r7, 1, $kept
        mov r3, r8
        add r3, {offset_of!(Capture, bytes) as i32}
        mov r4, r7
    }
    access.call_load(code, kept);
    ebpf! { in code;
        stxw [r8 + {offset_of!(Capture, len) as i16}], $LENGTH
        stxw [r8 + {offset_of!(Capture, captured) as i16}], r7
        ldxdw r1, [r8 + $SEEN]
        add r1, 1
        stxdw [r8 + $SEEN], r1
    $kept:
    }
}
