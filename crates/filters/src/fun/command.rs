//! The deciding filters: the few bytes of a packet that decide, compared as integers.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_wire::{Command, udp};

use super::{
    access::Access,
    parse::{FIRST, Judge, LENGTH, REST, Wants, half, parse, word},
    verdict,
};
use crate::{Site, Verdict};

/// Accepts payloads that begin with a command; the longest word is compared last, as the rarest.
pub(super) fn valid(code: &mut Code, site: &Site) {
    judge(code, site, false, find);
}

/// The same where the UDP length is that command's.
pub(super) fn robust(code: &mut Code, site: &Site) {
    judge(code, site, true, |code, accept| find_whole(code, |_| accept));
}

/// On at `found` where the payload begins with a command.
pub(super) fn find(code: &mut Code, found: Label) {
    let mut masked = None;
    for command in Command::ALL {
        compare(code, command, &mut masked, found);
    }
}

/// On at the command's label where the payload begins with a command and has its length.
pub(super) fn find_whole(code: &mut Code, found: impl Fn(Command) -> Label) {
    for command in Command::ALL {
        let next = code.fresh_label();
        ebpf! { in code; jne $LENGTH, {i32::from(udp::length_field(command.request_len()))}, $next }
        compare(code, command, &mut None, found(command));
        ebpf! { in code; $next: }
    }
}

/// `compare` goes on at the label that it is given where it finds a command.
fn judge(code: &mut Code, site: &Site, length: bool, compare: impl FnOnce(&mut Code, Label)) {
    let access = &Access::at(site);
    let (accept, drop) = (code.label("accept"), code.label("drop"));
    let place = |code: &mut Code| {
        compare(code, accept);
        verdict::place(code, access, drop, Verdict::Drop);
        verdict::place(code, access, accept, Verdict::Accept);
    };
    parse(code, site, Judge { wants: Wants::Beginning { length }, no_command: drop, place });
}

/// On at `target` where the payload begins with the command's word. No command has a zero in its word, so that the
/// zeros behind a short payload match none. `masked` is the mask whose result with [`FIRST`] r3 holds.
pub(super) fn compare(code: &mut Code, command: Command, masked: &mut Option<i32>, target: Label) {
    let (first, rest) = command.word().split_at(command.word().len().min(size_of::<u32>()));
    let mask = word(first.iter().map(|_| u8::MAX));
    let first = word(first.iter().copied());
    if let Some(rest) = rest.first_chunk() {
        let rest = half(u16::from_be_bytes(*rest));
        return ebpf! { in code;
            jne32 $FIRST, $first, other
            jeq $REST, $rest, $target
        other:
        };
    }
    if mask == -1 {
        return ebpf! { in code; jeq32 $FIRST, $first, $target };
    }
    if masked.replace(mask) != Some(mask) {
        ebpf! { in code;
            mov r3, $FIRST
            and32 r3, $mask
        }
    }
    ebpf! { in code; jeq32 r3, $first, $target }
}

/// A word is in the bytes that are loaded, all of it.
const _: () = {
    let mut at = 0;
    while at < Command::ALL.len() {
        assert!(matches!(Command::ALL[at].word().len(), 1..=4 | 6));
        at += 1;
    }
};
