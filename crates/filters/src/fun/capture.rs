//! `print-filter`: a copy of each CPU's last packet.

use std::mem::offset_of;

use weir_asm::{Code, Reg::*, op::*};
use weir_wire::maps::{self, CAPTURE_LEN, Capture};

use super::{call_helper, command::SKB_LEN, here, map};

/// Keeps the packet's first bytes, how many they are, the packet's length, and how many packets came by.
pub(super) fn keep(code: &mut Code) {
    let (kept, whole) = (code.label("kept"), code.label("whole"));
    *code += mov(R6, R1);
    map::look_up(code, maps::CAPTURE, kept);
    *code += mov(R7, R0);
    *code += ldxw(R8, R6 + SKB_LEN);
    *code += mov(R9, R8);
    *code += jle(R9, CAPTURE_LEN as i32, whole);
    *code += mov(R9, CAPTURE_LEN as i32);
    here(code, whole);
    *code += jeq(R9, 0, kept);
    *code += mov(R1, R6);
    *code += mov(R2, 0);
    *code += mov(R3, R7);
    *code += add(R3, offset_of!(Capture, bytes) as i32);
    *code += mov(R4, R9);
    *code += call_helper("skb_load_bytes");
    *code += jne(R0, 0, kept);
    *code += stxw(R7 + offset_of!(Capture, len) as i16, R8);
    *code += stxw(R7 + offset_of!(Capture, captured) as i16, R9);
    *code += ldxdw(R1, R7 + offset_of!(Capture, seen) as i16);
    *code += add(R1, 1);
    *code += stxdw(R7 + offset_of!(Capture, seen) as i16, R1);
    here(code, kept);
}
