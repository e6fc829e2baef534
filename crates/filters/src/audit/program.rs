//! The program: whose packet it is, why it was dropped, of how many segments it was.

use std::ops::Range;

use weir_asm::{AtomicOp, Bits, Code, Label, Reg, Reg::*, op::*};

use super::{
    DROPS, FRAGMENTS, Flow, FlowEnd, KernelLayout, OTHER_REASON, REASONS, SkbOffsets, UNREAD, UNREADABLE, ip,
};
use crate::fun::{call_helper, here, map};

/// On the stack: what is read of headers, 40 bytes at most.
pub(super) const HEADER: i16 = -40;
/// On the stack: where the packet was freed.
const LOCATION: i16 = HEADER - 8;
/// Most of a `struct sk_buff` that is read, bytes.
const MAX_SPAN: u16 = 256;

/// Address of the UDP header; then how many packets to count.
pub(super) const UDP_AT: Reg = R7;
/// The reason, then the slot to count in.
const SLOT: Reg = R8;

/// Offsets in the UDP header (RFC 768), bytes.
const SOURCE_PORT: i16 = 0;
const DESTINATION_PORT: i16 = 2;
const UDP_LEN: i32 = 8;

/// What the parts of the program share.
pub(super) struct Parts {
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
    let parts = Parts {
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
fn arguments(code: &mut Code, layout: &KernelLayout, parts: &Parts) {
    let argument = |position: u8| R1 + 8 * i16::from(position);
    *code += ldxdw(SLOT, argument(layout.arguments.reason));
    // An enumeration: what the upper half of the argument holds is not said.
    *code += mov32(SLOT, SLOT);
    *code += ldxdw(R2, argument(layout.arguments.location));
    *code += stxdw(R10 + LOCATION, R2);
    *code += ldxdw(R3, argument(layout.arguments.skb));
    if let Some(parts_of_packets) = &layout.code.parts {
        let whole = code.label("whole");
        freed_in(code, parts_of_packets, whole);
        *code += ja(parts.out);
        here(code, whole);
    }
    *code += add(R3, i32::from(parts.skb.first));
    read(code, parts.skb.start(), i32::from(parts.skb.len), parts.unreadable);
}

fn udp_header(code: &mut Code, parts: &Parts) {
    here(code, parts.udp);
    in_one_piece(code, parts, UDP_AT, UDP_LEN);
    *code += mov(R3, UDP_AT);
    read(code, HEADER, 4, parts.unreadable);
    let port = match parts.flow.end {
        FlowEnd::Source => SOURCE_PORT,
        FlowEnd::Destination => DESTINATION_PORT,
    };
    *code += ldxh(R1, R10 + (HEADER + port));
    *code += be(Bits::B16, R1);
    *code += jne(R1, i32::from(parts.flow.address.port()), parts.out);
}

/// How many datagrams the packet is: one, or those that a segmentation offload would make of it.
fn segments(code: &mut Code, layout: &KernelLayout, parts: &Parts) {
    let counted = code.label("segments");
    *code += ldxdw(R3, R10 + parts.skb.at(|skb| skb.head));
    *code += ldxw(R1, R10 + parts.skb.at(|skb| skb.end));
    *code += add(R3, R1);
    *code += add(R3, i32::from(layout.gso_segs));
    read(code, HEADER, 2, parts.unreadable);
    *code += ldxh(R7, R10 + HEADER);
    *code += jne(R7, 0, counted);
    *code += mov(R7, 1);
    here(code, counted);
}

/// Adds r7 to the slot. Atomically, because a packet may be freed in a task that softirq interrupts.
fn count(code: &mut Code, layout: &KernelLayout, parts: &Parts) {
    let (add_up, known) = (code.label("add_up"), code.label("known"));
    if let Some(closing_socket) = &layout.code.closing_socket {
        let open = code.label("open");
        freed_in(code, closing_socket, open);
        *code += mov(SLOT, UNREAD as i32);
        *code += ja(add_up);
        here(code, open);
    }
    *code += jlt(SLOT, REASONS as i32, known);
    *code += mov(SLOT, OTHER_REASON as i32);
    here(code, known);
    *code += ja(add_up);
    for (label, slot) in [(parts.fragment, FRAGMENTS), (parts.unreadable, UNREADABLE)] {
        here(code, label);
        *code += mov(R7, 1);
        *code += mov(SLOT, slot as i32);
        *code += ja(add_up);
    }
    here(code, add_up);
    map::look_up(code, DROPS.name(), parts.out);
    *code += lsh(SLOT, 3);
    *code += add(R0, SLOT);
    *code += atomic(AtomicOp::Add { fetch: false }, R0, R7);
    here(code, parts.out);
    *code += mov(R0, 0);
    *code += exit();
}

/// Goes on where the packet was freed in `range`, otherwise at `elsewhere`.
fn freed_in(code: &mut Code, range: &Range<u64>, elsewhere: Label) {
    *code += ldxdw(R1, R10 + LOCATION);
    *code += lddw(R2, range.start);
    *code += jlt(R1, R2, elsewhere);
    *code += lddw(R2, range.end);
    *code += jge(R1, R2, elsewhere);
}

/// On at `unreadable` where `len` bytes at the address in `from` are not all in the packet's first piece. r1 and r2
/// are lost.
pub(super) fn in_one_piece(code: &mut Code, parts: &Parts, from: Reg, len: i32) {
    *code += ldxdw(R1, R10 + parts.skb.at(|skb| skb.head));
    *code += ldxw(R2, R10 + parts.skb.at(|skb| skb.tail));
    *code += add(R1, R2);
    *code += mov(R2, from);
    *code += add(R2, len);
    *code += jgt(R2, R1, parts.unreadable);
}

/// Copies `len` bytes of kernel memory at r3 to r10 + `to`, or on at `unreadable`. r0 to r5 are lost.
pub(super) fn read(code: &mut Code, to: i16, len: i32, unreadable: Label) {
    *code += mov(R1, R10);
    *code += add(R1, i32::from(to));
    *code += mov(R2, len);
    *code += call_helper("probe_read_kernel");
    *code += jne(R0, 0, unreadable);
}
