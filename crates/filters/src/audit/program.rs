//! The program: whose packet it is, why it was dropped, of how many segments it was.

use std::ops::Range;

use weir_asm::{Code, Label, Reg};
use weir_asm_macros::ebpf;

use super::{
    Arguments, DROPS, FRAGMENTS, Flow, FlowEnd, KernelLayout, OTHER_REASON, REASONS, SkbOffsets, UNREAD,
    UNREADABLE, ip,
};
use crate::fun::map;

/// On the stack: what is read of headers, 40 bytes at most.
pub(super) const HEADER: i16 = -40;
/// On the stack: where the packet was freed.
const LOCATION: i16 = HEADER - 8;
/// Most of a `struct sk_buff` that is read, bytes.
const MAX_SPAN: u16 = 256;

/// Address of the UDP header; then how many packets to count.
pub(super) const UDP_AT: Reg = Reg::R7;
/// The reason, then the slot to count in.
const SLOT: Reg = Reg::R8;

/// Offsets in the UDP header (RFC 768), bytes.
const SOURCE_PORT: i16 = 0;
const DESTINATION_PORT: i16 = 2;
const UDP_LEN: i32 = 8;

/// What the parts of the program share.
pub(super) struct AuditParts {
    pub(super) flow: Flow,
    pub(super) skb: SkbOnStack,
    /// The headers up to UDP's are read, and the address is the flow's.
    pub(super) udp: Label,
    /// A UDP fragment without a port.
    pub(super) fragment: Label,
    /// What should be there can't be read.
    pub(super) unreadable: Label,
    /// The packet is not the flow's.
    pub(super) out: Label,
}

/// Where the fields of `struct sk_buff` are on the stack, once read.
pub(super) struct SkbOnStack {
    /// Offset in the structure of the first byte read.
    first: u16,
    len: u16,
    offsets: SkbOffsets,
}

impl SkbOnStack {
    fn new(offsets: SkbOffsets) -> Self {
        let SkbOffsets { protocol, network_header, tail, end, head } = offsets;
        let fields = [(protocol, 2), (network_header, 2), (tail, 4), (end, 4), (head, 8)];
        // The verifier wants the stack read at multiples of a field's size.
        let first = fields.iter().map(|(offset, _)| offset / 8 * 8).min().expect("there are fields");
        let behind = fields.iter().map(|(offset, size)| offset + size).max().expect("there are fields");
        let len = (behind - first).next_multiple_of(8);
        assert!(len <= MAX_SPAN, "{len} bytes of struct sk_buff are more than fit the stack");
        Self { first, len, offsets }
    }

    /// Where it begins, from r10.
    fn start(&self) -> i16 {
        LOCATION - self.len as i16
    }

    /// A field's place, from r10.
    pub(super) fn at(&self, field: impl Fn(&SkbOffsets) -> u16) -> i16 {
        self.start() + (field(&self.offsets) - self.first) as i16
    }
}

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

/// On at `unreadable` where `len` bytes at the address in `from` are not all in the packet's first piece. r1 and r2
/// are lost.
pub(super) fn in_one_piece(code: &mut Code, parts: &AuditParts, from: Reg, len: i32) {
    ebpf! { in code;
        ldxdw r1, [r10 + {parts.skb.at(|skb| skb.head)}]
        ldxw r2, [r10 + {parts.skb.at(|skb| skb.tail)}]
        add r1, r2
        mov r2, $from
        add r2, $len
        jgt r2, r1, {parts.unreadable}
    }
}

/// Copies `len` bytes of kernel memory at r3 to r10 + `to`, or on at `unreadable`. r0 to r5 are lost.
pub(super) fn read(code: &mut Code, to: i16, len: i32, unreadable: Label) {
    ebpf! { in code;
        mov r1, r10
        add r1, {i32::from(to)}
        mov r2, $len
        call probe_read_kernel
        jne r0, 0, $unreadable
    }
}
