//! What the parts of the program share: where things are on the stack and in registers, and reading the kernel's memory.

use weir_asm::{Code, Label, Reg};
use weir_asm_macros::ebpf;

use super::{Flow, SkbOffsets};

/// On the stack: what is read of headers, 40 bytes at most.
pub(super) const HEADER: i16 = -40;
/// On the stack: where the packet was freed.
pub(super) const LOCATION: i16 = HEADER - 8;
/// Most of a `struct sk_buff` that is read, bytes.
const MAX_SPAN: u16 = 256;

/// Address of the UDP header; then how many packets to count.
pub(super) const UDP_AT: Reg = Reg::R7;
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
    pub(super) first: u16,
    pub(super) len: u16,
    offsets: SkbOffsets,
}

impl SkbOnStack {
    pub(super) fn new(offsets: SkbOffsets) -> Self {
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
    pub(super) fn start(&self) -> i16 {
        LOCATION - self.len as i16
    }

    /// A field's place, from r10.
    pub(super) fn at(&self, field: impl Fn(&SkbOffsets) -> u16) -> i16 {
        self.start() + (field(&self.offsets) - self.first) as i16
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
