//! The common case: headers at offsets that are known when the program is made.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::{headers, headers::ethernet, udp};

use super::{
    FIRST, IpVersion, LENGTH, PacketParser, REST, Wants,
    checks::{field, half, longest_word},
    window::{PacketWindow, START, STOP},
};
use crate::Layer;

/// Version and header length of an IPv4 header without options.
const PLAIN_IPV4: i32 = 0x45;

impl PacketParser<'_> {
    /// Writes the decision behind the first version's checks, so that nothing jumps on the way there.
    pub(super) fn common(&self, code: &mut Code, judge: impl FnOnce(&mut Code)) {
        let versions: Vec<_> = self.versions().collect();
        let second = versions.get(1).map(|version| (*version, code.fresh_label()));
        let otherwise = second.map_or(self.walk, |(_, label)| label);
        let first = versions[0];

        let is_ethernet = self.site.hook.layer() == Layer::Ethernet;
        let from = if is_ethernet { ethernet::TYPE_OFFSET } else { 0 };
        let window = self.open(code, from, first);
        let ip = window.ip;
        if is_ethernet {
            ebpf! { in code; ldxh r1, [{Mem { off: ip.off - size_of::<u16>() as i16, ..ip }}] }
            self.check_ethertype(code, first, otherwise);
        }
        ebpf! { in code; ldxb r1, [$ip] }
        let not_plain = if is_ethernet { self.walk } else { otherwise };
        self.check_headers(code, &window, not_plain);
        ebpf! { in code; {self.judge}: }
        judge(code);
        self.short(code, &window);

        if let Some((version, label)) = second {
            ebpf! { in code; $label: }
            if is_ethernet {
                self.check_ethertype(code, version, self.walk);
            }
            let window = self.open(code, self.ip_offset(), version);
            ebpf! { in code; ldxb r1, [{window.ip}] }
            self.check_headers(code, &window, self.walk);
            ebpf! { in code; ja {self.judge} }
            self.short(code, &window);
        }
    }

    pub(super) fn check_ethertype(&self, code: &mut Code, version: &IpVersion, otherwise: Label) {
        ebpf! { in code; jne r1, {half(version.ethertype)}, $otherwise }
    }

    /// From IP's first byte in r1 on, to [`LENGTH`], [`FIRST`] and [`REST`].
    pub(super) fn check_headers(&self, code: &mut Code, window: &PacketWindow, not_plain: Label) {
        let &PacketWindow { version, ip, .. } = window;
        if version.number == IpVersion::V4.number {
            ebpf! { in code; jne r1, $PLAIN_IPV4, $not_plain }
        } else {
            self.check_version(code, version, not_plain);
        }
        ebpf! { in code;
            ldxb r1, [{field(ip, version.protocol_offset)}]
            jne r1, {i32::from(headers::UDP)}, {self.no_udp(version)}
        }
        let udp = field(ip, version.header_len);
        self.check_ip(code, version, ip, self.fragment.map_or(self.other, |_| self.walk));
        self.check_udp(code, udp);
        self.check_lengths(code, version, ip);
        self.check_segments(code);
        if let Wants::Beginning { .. } = self.wants {
            ebpf! { in code; jlt $LENGTH, {i32::from(udp::length_field(longest_word()))}, {window.short_payload} }
            self.check_room_in_place(code, window, longest_word());
            load_beginning(code, window.payload());
        }
    }

    /// Behind IPv6's header there may be others before UDP's.
    fn no_udp(&self, version: &IpVersion) -> Label {
        if version.number == IpVersion::V4.number { self.other } else { self.walk }
    }

    /// The UDP packet fits the IP packet, and that the frame.
    fn check_lengths(&self, code: &mut Code, version: &IpVersion, ip: Mem) {
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
        ebpf! { in code;
            jeq $LENGTH, 0, {self.walk}
            jlt $LENGTH, {udp::HEADER_LEN as i32}, {self.other}
        }
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

const _: () = assert!(ethernet::TYPE_OFFSET + size_of::<u16>() == ethernet::HEADER_LEN);
