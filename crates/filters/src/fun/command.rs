//! How each filter decides: most by the few bytes of a packet that decide, compared as integers.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_guard::meaning::Party;
use weir_wire::{Command, maps, udp};

use super::{
    access::Access,
    capture, known_key, map,
    parse::{FIRST, Judge, LENGTH, REST, Wants, half, parse, word},
    verdict,
};
use crate::{Binding, Filter, FilterName, Parameter, Site, Verdict};

/// How a filter decides about the server's packets, or about those that source checks before it pass on.
pub(super) enum Decision {
    /// Alike for each; `end` ends the program.
    Alike { wants: Wants, end: fn(&mut Code, &Access) },
    /// By [`FIRST`] and [`REST`], and [`LENGTH`] where it says so: `find` goes on at the label where it accepts.
    Beginning { length: bool, find: fn(&mut Code, Label) },
    /// By those and by more of the packet, from [`super::parse::AT`] on: to a verdict, or on at the label that drops.
    Payload(fn(&mut Code, &Access, Label)),
}

/// The filter's decision.
pub(super) fn decision(filter: Filter) -> Decision {
    match filter.name {
        FilterName::Simple | FilterName::Quota | FilterName::Blocklist => alike(accept),
        FilterName::Reject => alike(drop),
        FilterName::Parameterized => alike(match (filter.binding, filter.parameter) {
            (Binding::Map, _) => parameterized_by_map,
            (Binding::Constant, Parameter::Accept) => accept,
            (Binding::Constant, Parameter::Drop) => drop,
        }),
        FilterName::Print => Decision::Alike { wants: Wants::Place, end: print },
        FilterName::Count => alike(count),
        FilterName::ValidCommand => Decision::Beginning { length: false, find },
        FilterName::RobustValidCommand => {
            Decision::Beginning { length: true, find: |code, found| find_whole(code, |_| found) }
        }
        FilterName::KnownKey => Decision::Payload(known_key::decide),
    }
}

fn alike(end: fn(&mut Code, &Access)) -> Decision {
    Decision::Alike { wants: Wants::Nothing, end }
}

fn accept(code: &mut Code, access: &Access) {
    verdict::count_and_give(code, access, Verdict::Accept);
}

fn drop(code: &mut Code, access: &Access) {
    verdict::count_and_give(code, access, Verdict::Drop);
}

fn print(code: &mut Code, access: &Access) {
    capture::keep(code, access);
    accept(code, access);
}

fn count(code: &mut Code, access: &Access) {
    map::count(code, maps::COUNTER, 0);
    accept(code, access);
}

/// An array's only element always exists; an absent one reads as 0, which accepts.
fn parameterized_by_map(code: &mut Code, access: &Access) {
    let (accept, drop) = (code.label("accept"), code.label("drop"));
    map::look_up(code, maps::PARAMETER, accept);
    ebpf! { in code;
        ldxw r1, [r0]
        jne r1, {Parameter::Accept.value() as i32}, $drop
    }
    verdict::place(code, access, accept, Verdict::Accept);
    verdict::place(code, access, drop, Verdict::Drop);
}

/// On at `found` where the payload begins with a command; the longest word is compared last, as the rarest.
fn find(code: &mut Code, found: Label) {
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

/// A [`Decision::Beginning`] alone.
pub(super) fn judge(code: &mut Code, site: &Site, length: bool, find: fn(&mut Code, Label)) {
    let access = &Access::at(site);
    let (accept, drop) = (code.label("accept"), code.label("drop"));
    let place = |code: &mut Code| {
        find(code, accept);
        verdict::place(code, access, drop, Verdict::Drop);
        verdict::place(code, access, accept, Verdict::Accept);
    };
    let wants = Wants::Beginning { length };
    parse(code, site, Judge { wants, no_command: drop, by: Party::Client, unjudged: None, place });
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
