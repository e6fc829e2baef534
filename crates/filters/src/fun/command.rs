//! The deciding filters: the few bytes of a packet that decide are loaded in one call, and compared as integers.

use weir_asm::{Code, Label, Reg, stack::zero_on_stack};
use weir_asm_macros::ebpf;
use weir_wire::{Command, udp};

use super::verdict;
use crate::Verdict;

/// Offset of `len` in `struct __sk_buff` (include/uapi/linux/bpf.h): the packet's length from the UDP header on.
pub(super) const SKB_LEN: i16 = 0;

/// The first bytes of the payload, once loaded: a little-endian integer.
const FIRST: Reg = Reg::R1;
/// How many they are: no command's word is longer.
const FIRST_LEN: usize = size_of::<u64>();
/// The UDP length field, once loaded.
const LENGTH: Reg = Reg::R2;
/// From the length field to the payload, bytes.
const LENGTH_TO_PAYLOAD: usize = udp::PAYLOAD_OFFSET - udp::LENGTH_OFFSET;

/// Accepts payloads that begin with a command.
pub(super) fn valid(code: &mut Code) {
    let (accept, drop) = (code.label("accept"), code.label("drop"));
    load(code, udp::PAYLOAD_OFFSET, FIRST_LEN, drop);
    load_first(code);
    let mut masked = None;
    for command in Command::ALL {
        compare(code, command, &mut masked, accept);
    }
    verdict::place(code, drop, Verdict::Drop);
    verdict::place(code, accept, Verdict::Accept);
}

/// The same where the UDP length is that command's.
pub(super) fn robust(code: &mut Code) {
    let (accept, drop) = (code.label("accept"), code.label("drop"));
    let loaded = LENGTH_TO_PAYLOAD + FIRST_LEN;
    load(code, udp::LENGTH_OFFSET, loaded, drop);
    load_first(code);
    ebpf! { in code;
        ldxh $LENGTH, [r10 + {-(loaded as i16)}]
        be16 $LENGTH
    }
    for command in Command::ALL {
        let next = code.fresh_label();
        ebpf! { in code; jne $LENGTH, {i32::from(udp::length_field(command.request_len()))}, $next }
        compare(code, command, &mut None, accept);
        ebpf! { in code; $next: }
    }
    verdict::place(code, drop, Verdict::Drop);
    verdict::place(code, accept, Verdict::Accept);
}

/// Loads what the packet has from `offset` on to the top `len` bytes of the stack, with zeros behind it; on at
/// `absent` where the packet has nothing there. One call, whose length is bounded by the packet's.
fn load(code: &mut Code, offset: usize, len: usize, absent: Label) {
    let (from, most) = (offset as i32, len as i32);
    ebpf! { in code;
        ldxw r4, [r1 + $SKB_LEN]
        jle r4, $from, $absent
        sub r4, $from
        jle r4, $most, whole
        mov r4, $most
    whole:
        {zero_on_stack(len, -(len as i16))}
        mov r2, $from
        mov r3, r10
        add r3, {-most}
        call skb_load_bytes
        jne r0, 0, $absent
    }
}

fn load_first(code: &mut Code) {
    ebpf! { in code;
        ldxdw $FIRST, [r10 + {-(FIRST_LEN as i16)}]
        le64 $FIRST
    }
}

/// On at `target` where the payload begins with the command's word. No command has a zero in its word, so that the
/// zeros behind a short payload match none. `masked` is the mask whose result r3 holds: for
/// up to 31 bits the masked bytes, for more the bytes with those behind the word shifted out.
fn compare(code: &mut Code, command: Command, masked: &mut Option<u64>, target: Label) {
    let (magic, mask) = (command.magic(), command.mask());
    if mask == u64::from(u32::MAX) {
        return ebpf! { in code; jeq32 $FIRST, {magic as i32}, $target };
    }
    let small = i32::try_from(mask).ok();
    if masked.replace(mask) != Some(mask) {
        ebpf! { in code; mov r3, $FIRST }
        match small {
            Some(mask) => ebpf! { in code; and r3, $mask },
            None => ebpf! { in code; lsh r3, {mask.leading_zeros() as i32} },
        }
    }
    if small.is_some() {
        ebpf! { in code; jeq r3, {magic as i32}, $target }
    } else {
        ebpf! { in code;
            lddw r4, {magic << mask.leading_zeros()}
            jeq r3, r4, $target
        }
    }
}
