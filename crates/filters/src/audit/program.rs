//! The program: whose packet it is, why it was dropped, of how many segments it was.

use std::ops::Range;

use weir_asm::{Code, Label, Reg};
use weir_asm_macros::ebpf;

use super::{
    Arguments, DROPS, FRAGMENTS, Flow, FlowEnd, KernelLayout, OTHER_REASON, REASONS, UNREAD, UNREADABLE, ip,
    parts::{AuditParts, HEADER, LOCATION, SkbOnStack, UDP_AT, in_one_piece, read},
};
use crate::fun::map;

/// The reason, then the slot to count in.
const SLOT: Reg = Reg::R8;

/// Offsets in the UDP header (RFC 768), bytes.
const SOURCE_PORT: i16 = 0;
const DESTINATION_PORT: i16 = 2;
const UDP_LEN: i32 = 8;

pub(super) fn code(flow: Flow, layout: &KernelLayout) -> Code {
    let mut code = Code::new();
    let mut label = |name| code.label(name);
    let parts = AuditParts {
        flow,
        skb: SkbOnStack::new(layout.skb),
        udp: label("udp"),
        fragment: label("fragment"),
        unreadable: label("unreadable"),
        out: label("out"),
    };
    arguments(&mut code, layout, &parts);
    ip::headers(&mut code, &parts);
    udp_header(&mut code, &parts);
    segments(&mut code, layout, &parts);
    count(&mut code, layout, &parts);
    code
}

/// The packet on the stack, and why and where it was dropped.
fn arguments(code: &mut Code, layout: &KernelLayout, parts: &AuditParts) {
    let argument = |position: u8| 8 * i16::from(position);
    let Arguments { skb, location, reason } = layout.arguments;
    ebpf! { in code;
        ldxdw $SLOT, [r1 + {argument(reason)}]
        // An enumeration: what the upper half of the argument holds is not said.
        mov32 $SLOT, $SLOT
        ldxdw r2, [r1 + {argument(location)}]
        stxdw [r10 + $LOCATION], r2
        ldxdw r3, [r1 + {argument(skb)}]
    }
    if let Some(parts_of_packets) = &layout.code.parts {
        let whole = code.label("whole");
        freed_in(code, parts_of_packets, whole);
        ebpf! { in code;
            ja {parts.out}
        $whole:
        }
    }
    ebpf! { in code; add r3, {i32::from(parts.skb.first)} }
    read(code, parts.skb.start(), i32::from(parts.skb.len), parts.unreadable);
}

fn udp_header(code: &mut Code, parts: &AuditParts) {
    ebpf! { in code; {parts.udp}: }
    in_one_piece(code, parts, UDP_AT, UDP_LEN);
    ebpf! { in code; mov r3, $UDP_AT }
    read(code, HEADER, 4, parts.unreadable);
    let port = match parts.flow.end {
        FlowEnd::Source => SOURCE_PORT,
        FlowEnd::Destination => DESTINATION_PORT,
    };
    ebpf! { in code;
        ldxh r1, [r10 + {HEADER + port}]
        be16 r1
        jne r1, {i32::from(parts.flow.address.port())}, {parts.out}
    }
}

/// How many datagrams the packet is: one, or those that a segmentation offload would make of it.
fn segments(code: &mut Code, layout: &KernelLayout, parts: &AuditParts) {
    ebpf! { in code;
        ldxdw r3, [r10 + {parts.skb.at(|skb| skb.head)}]
        ldxw r1, [r10 + {parts.skb.at(|skb| skb.end)}]
        add r3, r1
        add r3, {i32::from(layout.gso_segs)}
    }
    read(code, HEADER, 2, parts.unreadable);
    ebpf! { in code;
        ldxh r7, [r10 + $HEADER]
        jne r7, 0, segments
        mov r7, 1
    segments:
    }
}

/// Adds r7 to the slot. Atomically, because a packet may be freed in a task that softirq interrupts.
fn count(code: &mut Code, layout: &KernelLayout, parts: &AuditParts) {
    let add_up = code.label("add_up");
    if let Some(closing_socket) = &layout.code.closing_socket {
        let open = code.label("open");
        freed_in(code, closing_socket, open);
        ebpf! { in code;
            mov $SLOT, {UNREAD as i32}
            ja $add_up
        $open:
        }
    }
    ebpf! { in code;
        jlt $SLOT, {REASONS as i32}, known
        mov $SLOT, {OTHER_REASON as i32}
    known:
        ja $add_up
    }
    for (label, slot) in [(parts.fragment, FRAGMENTS), (parts.unreadable, UNREADABLE)] {
        ebpf! { in code;
        $label:
            mov r7, 1
            mov $SLOT, {slot as i32}
            ja $add_up
        }
    }
    ebpf! { in code; $add_up: }
    map::look_up(code, DROPS.name(), parts.out);
    ebpf! { in code;
        lsh $SLOT, 3
        add r0, $SLOT
        lock add [r0], r7
    {parts.out}:
        mov r0, 0
        exit
    }
}

/// Goes on where the packet was freed in `range`, otherwise at `elsewhere`.
fn freed_in(code: &mut Code, range: &Range<u64>, elsewhere: Label) {
    ebpf! { in code;
        ldxdw r1, [r10 + $LOCATION]
        lddw r2, {range.start}
        jlt r1, r2, $elsewhere
        lddw r2, {range.end}
        jge r1, r2, $elsewhere
    }
}
