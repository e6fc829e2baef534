//! What the common case sees of a packet: all headers in one piece, and the payload's beginning, in the packet or copied
//! by one call.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::udp;

use super::{
    CONTEXT, FIRST, IP, IpVersion, LENGTH, PacketParser, REST, Wants,
    checks::{field, longest_word, shortest_word, word},
};
use crate::fun::access::{DATA, DATA_END};

/// Where packets are read in place: their first byte, from which [`END`](super::END) may become the payload's, and the end of the first
/// piece.
pub(super) const START: Reg = super::END;
pub(super) const STOP: Reg = super::AT;

/// A packet of a version, from an offset on.
pub(super) struct PacketWindow {
    pub(super) version: &'static IpVersion,
    /// Where its IP header is read.
    pub(super) ip: Mem,
    from: usize,
    /// Where packets go that end before the longest word would, and come back from.
    short_packet: Label,
    opened: Label,
    /// Where payloads go that are shorter than the longest word.
    pub(super) short_payload: Label,
}

impl PacketWindow {
    /// One whose IP header is read at `ip`.
    pub(super) fn at(code: &mut Code, version: &'static IpVersion, ip: Mem, from: usize) -> Self {
        let [short_packet, opened, short_payload] = [(); 3].map(|()| code.fresh_label());
        Self { version, ip, from, short_packet, opened, short_payload }
    }

    /// Where the payload is read.
    pub(super) fn payload(&self) -> Mem {
        field(self.ip, self.version.header_len + udp::PAYLOAD_OFFSET)
    }
}

impl PacketParser<'_> {
    /// Opens a window on a packet that has the version's headers.
    pub(super) fn open(&self, code: &mut Code, from: usize, version: &'static IpVersion) -> PacketWindow {
        let ip = if self.access.is_direct {
            Mem { base: START, off: self.ip_offset() as i16 }
        } else {
            Mem { base: Reg::R10, off: IP }
        };
        let window = PacketWindow::at(code, version, ip, from);
        let end = self.headers_end(version);
        if self.access.is_direct {
            ebpf! { in code;
                ldxw $START, [$CONTEXT + $DATA]
                ldxw $STOP, [$CONTEXT + $DATA_END]
                mov r1, $START
                add r1, {end as i32}
                jgt r1, $STOP, {self.walk}
            }
        } else if self.wants_beginning() {
            let end = end + longest_word();
            self.access.length(code, Reg::R4);
            ebpf! { in code; jlt r4, {end as i32}, {window.short_packet} }
            self.access.load(code, from as i32, end - from, self.slot(&window), self.walk);
            ebpf! { in code; {window.opened}: }
        } else {
            self.access.load(code, from as i32, end - from, self.slot(&window), self.walk);
        }
        window
    }

    /// What is rarer than the rest: too short for the longest word, or its payload is.
    pub(super) fn short(&self, code: &mut Code, window: &PacketWindow) {
        if !self.wants_beginning() {
            return;
        }
        if !self.access.is_direct {
            self.open_short(code, window);
        }
        self.short_payload(code, window);
    }

    /// The payload's first bytes are in the packet's first piece, to the verifier too.
    pub(super) fn check_room_in_place(&self, code: &mut Code, window: &PacketWindow, payload: usize) {
        if self.access.is_direct {
            ebpf! { in code;
                mov r1, $START
                add r1, {(self.headers_end(window.version) + payload) as i32}
                jgt r1, $STOP, {self.walk}
            }
        }
    }

    /// Copies what there is, zeros behind it. Zeros before it too: without CAP_PERFMON the verifier wants a copy of a
    /// length that it doesn't know to go where something is.
    fn open_short(&self, code: &mut Code, window: &PacketWindow) {
        let headers_end = self.headers_end(window.version);
        ebpf! { in code;
        {window.short_packet}:
            jlt r4, {headers_end as i32}, {self.walk}
        }
        let slot = self.slot(window);
        let end = slot + (headers_end + longest_word() - window.from) as i16;
        for off in (slot & -WORD..end).step_by(WORD as usize) {
            ebpf! { in code; stdw [r10 + $off], 0 }
        }
        ebpf! { in code;
            sub r4, {window.from as i32}
            mov r2, {window.from as i32}
            mov r3, r10
            add r3, {i32::from(slot)}
        }
        self.access.call_load(code, self.walk);
        ebpf! { in code; ja {window.opened} }
    }

    /// [`FIRST`] and [`REST`] of a payload that can't begin with the longest word, of which no byte is zero.
    fn short_payload(&self, code: &mut Code, window: &PacketWindow) {
        ebpf! { in code;
        {window.short_payload}:
            jlt $LENGTH, {i32::from(udp::length_field(shortest_word()))}, {self.no_command}
            mov $REST, 0
        }
        for len in shortest_word()..size_of::<u32>() {
            let longer = code.fresh_label();
            ebpf! { in code; jne $LENGTH, {i32::from(udp::length_field(len))}, $longer }
            self.load_fewer(code, window, len);
            ebpf! { in code;
                ja {self.judge}
            $longer:
            }
        }
        self.check_room_in_place(code, window, size_of::<u32>());
        ebpf! { in code;
            ldxw $FIRST, [{window.payload()}]
            ja {self.judge}
        }
    }

    /// [`FIRST`] of a payload of fewer than four bytes, which may be the packet's last.
    fn load_fewer(&self, code: &mut Code, window: &PacketWindow, len: usize) {
        self.check_room_in_place(code, window, len);
        ebpf! { in code; mov $FIRST, 0 }
        for number in 0..len {
            let one = word([0; size_of::<u32>()].into_iter().take(number).chain([1]));
            ebpf! { in code;
                ldxb r3, [{field(window.payload(), number)}]
                lsh r3, {one.trailing_zeros() as i32}
                or $FIRST, r3
            }
        }
    }

    fn headers_end(&self, version: &IpVersion) -> usize {
        self.ip_offset() + version.header_len + udp::HEADER_LEN
    }

    /// Where a copy of the window begins on the stack.
    fn slot(&self, window: &PacketWindow) -> i16 {
        IP - self.ip_offset() as i16 + window.from as i16
    }

    fn wants_beginning(&self) -> bool {
        matches!(self.wants, Wants::Beginning { .. })
    }
}

const WORD: i16 = size_of::<u64>() as i16;
