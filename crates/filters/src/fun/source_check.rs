//! Source checks: the packet's source is looked up, and asks for the rest of the program or for its end.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::{
    headers::{ipv4, ipv6},
    maps,
};

use super::{
    access::{Access, CONTEXT},
    map,
    parse::{IP_AT, word},
};
use crate::{Features, Filter, Layer, Site, SourceCheck};

const fn stack(off: i16) -> Mem {
    Mem { base: Reg::R10, off }
}

/// The source, IPv4 as ::ffff:a.b.c.d, and before it how many bits of it a trie is asked for.
const SOURCE: Mem = stack(-96);
const BITS: Mem = stack(-100);
/// The first byte of the IP header.
const VERSION: Mem = stack(-104);
pub(super) const NOW: Mem = stack(-112);
/// Nanoseconds from a packet to the next, and how many of them one may be early.
pub(super) const INTERVAL: Mem = stack(-120);
pub(super) const TOLERANCE: Mem = stack(-128);
/// The end of a prefix; when a source's next packet is due.
pub(super) const MOMENT: Mem = stack(-136);

const SOURCE_LEN: usize = 16;

/// The last four bytes of a source.
const SOURCE_V4: Mem = stack(SOURCE.off + 12);
/// The four before them.
const MAPPED: Mem = stack(SOURCE.off + 8);

/// BPF_NOEXIST, include/uapi/linux/bpf.h.
const NO_EXIST: i32 = 1;

/// How often a moment is put in place of another: each time but the last it was another CPU that did.
const TRIES: usize = 8;

/// Leaves r6 to r9 as they are; on at `refused` where a source check drops the packet.
pub(super) fn place(code: &mut Code, filter: Filter, site: &Site, refused: Label) {
    let checks: Vec<_> = filter.checks.iter().chain(filter.name.source_check()).collect();
    if checks.is_empty() {
        return;
    }
    let guarded = code.label("guarded");
    load_source(code, site, guarded);
    for check in checks {
        match check {
            SourceCheck::Blocklist => blocklist(code, refused),
            SourceCheck::Quota => quota(code, site.features, refused),
        }
    }
    ebpf! { in code; $guarded: }
}

/// [`SOURCE`] and [`BITS`], or on at `unknown`.
fn load_source(code: &mut Code, site: &Site, unknown: Label) {
    let (version_6, known) = (code.fresh_label(), code.fresh_label());
    load(code, site, ipv4::VERSION_OFFSET, 1, VERSION, unknown);
    ebpf! { in code;
        stw [$BITS], {8 * SOURCE_LEN as i32}
        ldxb r1, [$VERSION]
        rsh r1, 4
        jeq r1, 6, $version_6
        jne r1, 4, $unknown
        stdw [$SOURCE], 0
        stw [$MAPPED], {word([0, 0, 0xff, 0xff])}
    }
    load(code, site, ipv4::SOURCE_OFFSET, size_of::<u32>(), SOURCE_V4, unknown);
    ebpf! { in code;
        ja $known
    $version_6:
    }
    load(code, site, ipv6::SOURCE_OFFSET, SOURCE_LEN, SOURCE, unknown);
    ebpf! { in code; $known: }
}

/// Copies a field of the IP header to the stack, or on at `absent`.
pub(super) fn load(code: &mut Code, site: &Site, offset: usize, len: usize, slot: Mem, absent: Label) {
    if site.hook.layer() != Layer::Udp {
        ebpf! { in code;
            ldxdw r2, [$IP_AT]
            add r2, {offset as i32}
        }
        return Access::at(site).load(code, Reg::R2, len, slot.off, absent);
    }
    ebpf! { in code;
        mov r1, $CONTEXT
        mov r2, {offset as i32}
        mov r3, r10
        add r3, {i32::from(slot.off)}
        mov r4, {len as i32}
        mov r5, $FROM_NETWORK_HEADER
        call skb_load_bytes_relative
        jne r0, 0, $absent
    }
}

/// BPF_HDR_START_NET, include/uapi/linux/bpf.h (Linux 4.18): the IP header, although the program sees UDP's first.
const FROM_NETWORK_HEADER: i32 = 1;

fn blocklist(code: &mut Code, refused: Label) {
    let free = code.fresh_label();
    ebpf! { in code;
        lmap r1, {maps::BLOCKLIST}
        mov r2, r10
        add r2, {i32::from(BITS.off)}
        call map_lookup_elem
        jeq r0, 0, $free
        ldxdw r1, [r0]
        jeq r1, 0, $refused
        stxdw [$MOMENT], r1
        call ktime_get_ns
        ldxdw r1, [$MOMENT]
        jgt r1, r0, $refused
    $free:
    }
}

/// The virtual scheduling algorithm: a packet conforms where its due moment is not further off than the tolerance.
fn quota(code: &mut Code, features: Features, refused: Label) {
    let conforms = code.fresh_label();
    map::look_up(code, maps::QUOTA, conforms);
    ebpf! { in code;
        ldxdw r1, [r0]
        stxdw [$INTERVAL], r1
        ldxdw r1, [{Mem { base: Reg::R0, off: 8 }}]
        stxdw [$TOLERANCE], r1
    }
    // As by the other toolkits a source that there is no room for passes.
    take_token(code, maps::SOURCES, SOURCE.off, features, [conforms, refused, conforms]);
    ebpf! { in code; $conforms: }
}

/// On at `conforms` or at `refused` by the bucket whose key stands at r10 + `key`, with [`INTERVAL`] and [`TOLERANCE`].
pub(super) fn take_token(
    code: &mut Code,
    map: &str,
    key: i16,
    features: Features,
    [conforms, refused, no_room]: [Label; 3],
) {
    let found = code.fresh_label();
    ebpf! { in code;
        call ktime_get_ns
        stxdw [$NOW], r0
    }
    let source = &ebpf! {
        lmap r1, $map
        mov r2, r10
        add r2, {i32::from(key)}
    };
    ebpf! { in code;
        $source
        call map_lookup_elem
        jne r0, 0, $found
        ldxdw r1, [$NOW]
        ldxdw r2, [$INTERVAL]
        add r1, r2
        stxdw [$MOMENT], r1
        $source
        mov r3, r10
        add r3, {i32::from(MOMENT.off)}
        mov r4, $NO_EXIST
        call map_update_elem
        jeq r0, 0, $conforms
        $source
        call map_lookup_elem
        jeq r0, 0, $no_room
    $found:
        mov r1, r0
        ldxdw r3, [$NOW]
        ldxdw r5, [$TOLERANCE]
        add r5, r3
        ldxdw r0, [r1]
    }
    if features.compare_exchange {
        spend(code, conforms, refused);
    } else {
        spend_without_exchange(code, conforms, refused);
    }
}

/// From where r1 points at the due moment, which is in r0, and r3 is the present one, r5 the last that conforms. The next
/// one's due moment is put in place by compare and exchange (Linux 5.12), so that two CPUs never spend the same token; a
/// packet that finds others faster each time is refused. What another CPU has just put in place is no idle source's: only the
/// first moment may lie in the past.
fn spend(code: &mut Code, conforms: Label, refused: Label) {
    ebpf! { in code;
        mov r2, r0
        jge r2, r3, busy
        mov r2, r3
    busy:
        ldxdw r3, [$INTERVAL]
    }
    for again in (0..TRIES).map(|tried| tried > 0) {
        if again {
            ebpf! { in code; mov r2, r0 }
        }
        ebpf! { in code;
            jgt r2, r5, $refused
            add r2, r3
            mov r4, r0
            lock cmpxchg [r1], r2
            jeq r0, r4, $conforms
        }
    }
    ebpf! { in code; ja $refused }
}

/// From the same registers. CPUs that look at a source at the same moment may each take its last token: one packet more a
/// CPU. What they took is owed by the source then, since the additions add up; only where it owed nothing before, one of
/// them counts.
fn spend_without_exchange(code: &mut Code, conforms: Label, refused: Label) {
    ebpf! { in code;
        jgt r0, r5, $refused
        ldxdw r4, [$INTERVAL]
        jlt r0, r3, idle
        lock add [r1], r4
        ja $conforms
    idle:
        add r3, r4
        stxdw [r1], r3
    }
}
