//! Hooks that see one server's UDP packets alone, from the UDP header on: the payload ends where the packet does.

use weir_asm::{Code, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::udp;

use super::{
    AT, END, IP, LENGTH, Parser, Wants,
    checks::field,
    common::{load_beginning, longest_word},
    walk::HEADER,
};

impl Parser<'_> {
    /// In one call what decides, where the payload is as long as that.
    pub(super) fn common_alone(&self, code: &mut Code, judge: impl FnOnce(&mut Code)) {
        let from = if self.wants_length() { udp::LENGTH_OFFSET } else { udp::PAYLOAD_OFFSET };
        let end = udp::PAYLOAD_OFFSET + longest_word();
        self.access.load(code, from as i32, end - from, IP + from as i16, self.walk);
        let udp = Mem { base: Reg::R10, off: IP };
        if self.wants_length() {
            ebpf! { in code;
                ldxh $LENGTH, [{field(udp, udp::LENGTH_OFFSET)}]
                be16 $LENGTH
            }
        }
        load_beginning(code, field(udp, udp::PAYLOAD_OFFSET));
        ebpf! { in code; {self.judge}: }
        judge(code);
    }

    /// From the packet's length in [`END`].
    pub(super) fn alone(&self, code: &mut Code) {
        ebpf! { in code; mov $AT, {udp::PAYLOAD_OFFSET as i32} }
        if matches!(self.wants, Wants::Place | Wants::Source) {
            return ebpf! { in code; mov $LENGTH, $END };
        }
        ebpf! { in code; jle $END, $AT, {self.no_command} }
        if self.wants_length() {
            let length = udp::LENGTH_OFFSET as i32;
            self.access.load(code, length, size_of::<u16>(), HEADER.off, self.no_command);
            ebpf! { in code;
                ldxh $LENGTH, [$HEADER]
                be16 $LENGTH
            }
        }
    }

    fn wants_length(&self) -> bool {
        self.wants == Wants::Beginning { length: true }
    }
}
