//! The common case: all headers in one piece, read at offsets that are known when the program is made.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::{Command, headers, headers::ethernet, udp};

use super::{
    CONTEXT, FIRST, IP, LENGTH, Parser, REST, Version, Wants,
    checks::{field, half},
};
use crate::{
    Layer,
    fun::access::{DATA, DATA_END},
};

/// Where packets are read in place: their first byte, and the end of the first piece.
const START: Reg = Reg::R7;
const STOP: Reg = Reg::R8;

/// Version and header length of an IPv4 header without options.
const PLAIN_IPV4: i32 = 0x45;

impl Parser<'_> {
    /// Writes the decision behind the first version's checks, so that nothing jumps on the way there.
    pub(super) fn common(&self, code: &mut Code, judge: impl FnOnce(&mut Code)) {
        let versions: Vec<_> = self.versions().collect();
        let second = versions.get(1).map(|version| (*version, code.fresh_label()));
        let otherwise = second.map_or(self.walk, |(_, label)| label);
        let first = versions[0];

        let ip = self.window(code, 0, first);
        let is_ethernet = self.site.hook.layer() == Layer::Ethernet;
        if is_ethernet {
            ebpf! { in code; ldxh r1, [{Mem { off: ip.off - size_of::<u16>() as i16, ..ip }}] }
            self.check_ethertype(code, first, otherwise);
        }
        ebpf! { in code; ldxb r1, [$ip] }
        let not_plain = if is_ethernet { self.walk } else { otherwise };
        self.check_headers(code, first, ip, not_plain);
        ebpf! { in code; {self.judge}: }
        judge(code);

        if let Some((version, label)) = second {
            ebpf! { in code; $label: }
            if is_ethernet {
                self.check_ethertype(code, version, self.walk);
            }
            let ip = self.window(code, self.ip_offset(), version);
            ebpf! { in code; ldxb r1, [$ip] }
            self.check_headers(code, version, ip, self.walk);
            ebpf! { in code; ja {self.judge} }
        }
    }

    /// Where the IP header is read, once everything from `from` on that the common case looks at is there.
    fn window(&self, code: &mut Code, from: usize, version: &Version) -> Mem {
        let ip_offset = self.ip_offset();
        let end = ip_offset + version.header_len + udp::HEADER_LEN + self.payload_needed();
        if self.access.is_direct {
            ebpf! { in code;
                ldxw $START, [$CONTEXT + $DATA]
                ldxw $STOP, [$CONTEXT + $DATA_END]
                mov r1, $START
                add r1, {end as i32}
                jgt r1, $STOP, {self.walk}
            }
            return Mem { base: START, off: ip_offset as i16 };
        }
        let slot = IP - ip_offset as i16 + from as i16;
        self.access.load(code, from as i32, end - from, slot, self.walk);
        Mem { base: Reg::R10, off: IP }
    }

    /// How much of the payload the common case has at once: as much as decides.
    fn payload_needed(&self) -> usize {
        match self.wants {
            Wants::Beginning { .. } => longest_word(),
            Wants::Nothing | Wants::Place | Wants::Source => 0,
        }
    }

    fn check_ethertype(&self, code: &mut Code, version: &Version, otherwise: Label) {
        ebpf! { in code; jne r1, {half(version.ethertype)}, $otherwise }
    }

    /// From IP's first byte in r1 on, to [`LENGTH`], [`FIRST`] and [`REST`].
    fn check_headers(&self, code: &mut Code, version: &Version, ip: Mem, not_plain: Label) {
        if version.number == Version::V4.number {
            ebpf! { in code; jne r1, $PLAIN_IPV4, $not_plain }
        } else {
            self.check_version(code, version, not_plain);
        }
        ebpf! { in code;
            ldxb r1, [{field(ip, version.protocol_offset)}]
            jne r1, {i32::from(headers::UDP)}, {self.no_udp(version)}
        }
        let udp = field(ip, version.header_len);
        self.check_ip(code, version, ip);
        self.check_udp(code, udp);
        self.check_lengths(code, version, ip);
        self.check_segments(code);
        if let Wants::Beginning { .. } = self.wants {
            load_beginning(code, field(udp, udp::PAYLOAD_OFFSET));
        }
    }

    /// Behind IPv6's header there may be others before UDP's.
    fn no_udp(&self, version: &Version) -> Label {
        if version.number == Version::V4.number { self.other } else { self.walk }
    }

    /// The UDP packet fits the IP packet, and that the frame.
    fn check_lengths(&self, code: &mut Code, version: &Version, ip: Mem) {
        let [said, udp_end, seen] = [Reg::R3, Reg::R2, Reg::R4];
        self.ip_length(code, version, ip, said);
        ebpf! { in code; mov $udp_end, $LENGTH }
        add(code, udp_end, version.header_len - version.uncounted);
        ebpf! { in code; jgt $udp_end, $said, {self.other} }
        add(code, said, self.ip_offset() + version.uncounted);
        let (seen, beyond) = if self.access.is_direct {
            ebpf! { in code;
                mov $seen, $STOP
                sub $seen, $START
            }
            // The rest of the packet may be in another piece.
            (seen, self.walk)
        } else {
            self.access.length(code, seen);
            (seen, self.other)
        };
        ebpf! { in code; jgt $said, $seen, $beyond }
        let (least, shorter) = match self.wants {
            Wants::Beginning { .. } => (udp::HEADER_LEN + longest_word(), self.walk),
            Wants::Nothing | Wants::Place | Wants::Source => (udp::HEADER_LEN, self.other),
        };
        ebpf! { in code; jlt $LENGTH, {least as i32}, $shorter }
    }
}

/// [`FIRST`] and [`REST`] of what is at hand.
pub(super) fn load_beginning(code: &mut Code, payload: Mem) {
    ebpf! { in code;
        ldxw $FIRST, [$payload]
        ldxh $REST, [{field(payload, size_of::<u32>())}]
    }
}

fn add(code: &mut Code, to: Reg, bytes: usize) {
    if bytes > 0 {
        ebpf! { in code; add $to, {bytes as i32} }
    }
}

/// Length of the longest command's word.
pub(super) fn longest_word() -> usize {
    Command::ALL.iter().map(|command| command.word().len()).max().unwrap_or_default()
}

const _: () = assert!(ethernet::TYPE_OFFSET + size_of::<u16>() == ethernet::HEADER_LEN);
