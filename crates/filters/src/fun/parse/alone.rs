//! Hooks that see one server's UDP packets alone, from the UDP header on: the payload ends where the packet does.

use weir_asm::{Code, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::udp;

use super::{
    AT, END, IP, LENGTH, PacketParser, Wants, checks::field, checks::longest_word, common::load_beginning,
};

impl PacketParser<'_> {
    /// In one call what decides, of as much of the payload as there is.
    pub(super) fn common_alone(&self, code: &mut Code, judge: impl FnOnce(&mut Code)) {
        let from = if self.wants_length() { udp::LENGTH_OFFSET } else { udp::PAYLOAD_OFFSET };
        let end = udp::PAYLOAD_OFFSET + longest_word();
        let opened = code.fresh_label();
        self.access.length(code, Reg::R4);
        ebpf! { in code; jlt r4, {end as i32}, {self.walk} }
        self.access.load(code, from as i32, end - from, IP + from as i16, self.no_command);
        let udp = Mem { base: Reg::R10, off: IP };
        ebpf! { in code; $opened: }
        if self.wants_length() {
            ebpf! { in code;
                ldxh $LENGTH, [{field(udp, udp::LENGTH_OFFSET)}]
                be16 $LENGTH
            }
        }
        load_beginning(code, field(udp, udp::PAYLOAD_OFFSET));
        ebpf! { in code; {self.judge}: }
        judge(code);
        ebpf! { in code;
        {self.walk}:
            jle r4, {udp::PAYLOAD_OFFSET as i32}, {self.no_command}
            stdw [r10 + $IP], 0
            stdw [r10 + {IP + udp::PAYLOAD_OFFSET as i16}], 0
            sub r4, {from as i32}
            mov r2, {from as i32}
            mov r3, r10
            add r3, {i32::from(IP) + from as i32}
        }
        self.access.call_load(code, self.no_command);
        ebpf! { in code; ja $opened }
    }

    /// From the packet's length in [`END`], which is where its payload ends, and all of it is the packet.
    pub(super) fn alone(&self, code: &mut Code) {
        ebpf! { in code;
            mov $AT, {udp::PAYLOAD_OFFSET as i32}
            mov $LENGTH, $END
        }
    }

    fn wants_length(&self) -> bool {
        self.wants == Wants::Beginning { length: true }
    }
}
