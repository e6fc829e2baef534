//! The pick of a worker at a shared port: the one whose key a request names; any other packet goes where the kernel's hash
//! of addresses and ports says, and so does a request whose worker has no socket.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::{Command, SPREAD, maps, udp};

use super::{
    access::{Access, CONTEXT},
    command::compare,
    parse::{AT, END, beginning},
};

/// The key, and then the worker's number: what a lookup's key is.
const KEY: Mem = Mem { base: Reg::R10, off: -152 };

/// Picks, in a program that sees the packet from its UDP header on. r0 to r5 and the registers of a walk are lost.
pub(super) fn worker(code: &mut Code, access: &Access, workers: u32) {
    let (by_hash, keyed) = (code.fresh_label(), code.fresh_label());
    ebpf! { in code; mov $AT, {udp::PAYLOAD_OFFSET as i32} }
    access.length(code, END);
    ebpf! { in code; jle $END, $AT, $by_hash }
    beginning(code, access, by_hash);
    let labels = Command::KEYED.map(|_| code.fresh_label());
    let mut masked = None;
    for (command, label) in Command::KEYED.into_iter().zip(labels) {
        compare(code, command, &mut masked, label);
    }
    ebpf! { in code; ja $by_hash }
    for (command, label) in Command::KEYED.into_iter().zip(labels) {
        ebpf! { in code; $label: }
        load_key(code, access, command, by_hash);
        ebpf! { in code; ja $keyed }
    }
    ebpf! { in code; $keyed: }
    select(code, workers);
    ebpf! { in code; $by_hash: }
}

fn load_key(code: &mut Code, access: &Access, command: Command, absent: Label) {
    let offset = udp::PAYLOAD_OFFSET + command.key_offset();
    access.load(code, offset as i32, size_of::<u32>(), KEY.off, absent);
}

/// [`weir_wire::worker_of`]. The error of a worker without a socket leaves the pick to the kernel, as no call does.
fn select(code: &mut Code, workers: u32) {
    ebpf! { in code;
        ldxw r1, [$KEY]
        le32 r1
        mul32 r1, {SPREAD as i32}
        mul r1, {workers as i32}
        rsh r1, {u32::BITS as i32}
        stxw [$KEY], r1
        mov r1, $CONTEXT
        lmap r2, {maps::WORKERS}
        mov r3, r10
        add r3, {i32::from(KEY.off)}
        mov r4, 0
        call sk_select_reuseport
    }
}
