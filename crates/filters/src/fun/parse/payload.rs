//! For decisions about any part of the payload: its place, its length, and its first bytes at a place that is known when the program
//! is made.

use std::ops::Range;

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::{headers::ethernet, udp};

use super::{
    AT, CONTEXT, END, IP_AT, IpVersion, LENGTH, PacketParser,
    window::{PacketWindow, START, STOP},
};
use crate::{
    Layer, Site,
    fun::{
        access::{Access, DATA, DATA_END},
        map,
    },
};

/// Where the payload's first bytes stand on the stack. 8 divides it, so that integers have the alignment that the kernel wants.
const PAYLOAD: i16 = -456;

/// How many of them there is room for; in front of them is room for Ethernet's type and the headers of IPv6 and UDP.
pub(in crate::fun) const MOST_PAYLOAD: usize = 120;

/// The stack ends there (`MAX_BPF_STACK`, include/linux/filter.h).
const LOWEST: i16 = -512;

/// No payload is longer, which the verifier is told.
const MOST_LEN: i32 = u16::MAX as i32;

/// Bytes of the payload. [`super::AT`] is its offset.
pub(in crate::fun) const PAYLOAD_LEN: Reg = LENGTH;

/// Where the payload's first bytes are read, zeros where it is shorter.
pub(in crate::fun) fn payload(site: &Site) -> Mem {
    if Access::at(site).is_direct { Mem { base: END, off: 0 } } else { Mem { base: Reg::R10, off: PAYLOAD } }
}

/// What of the stack the parser, and keys of maps, have addresses of, where so many bytes of the payload are copied there.
pub(in crate::fun) fn stack_blocks(site: &Site, beginning: Option<usize>) -> [Range<i16>; 2] {
    let headers = if site.hook.layer() == Layer::Udp { map::KEY } else { IP_AT.off };
    [headers..0, LOWEST..PAYLOAD + beginning.unwrap_or(0) as i16]
}

impl PacketParser<'_> {
    /// Has the packet judged with so many bytes of the payload at [`payload`], or with none.
    pub(super) fn payload(&self, code: &mut Code, beginning: Option<usize>, judge: impl FnOnce(&mut Code)) {
        assert!(beginning.unwrap_or(0) <= MOST_PAYLOAD, "the stack has room for {MOST_PAYLOAD} bytes");
        if self.site.hook.layer() == Layer::Udp {
            self.access.length(code, PAYLOAD_LEN);
            ebpf! { in code;
                jlt $PAYLOAD_LEN, {udp::PAYLOAD_OFFSET as i32}, {self.no_command}
                sub $PAYLOAD_LEN, {udp::PAYLOAD_OFFSET as i32}
                and $PAYLOAD_LEN, $MOST_LEN
                mov $AT, {udp::PAYLOAD_OFFSET as i32}
            }
            let short = self.copy_payload(code, beginning);
            judge(code);
            return short.iter().for_each(|short| short.write(code));
        }
        let versions: Vec<_> = self.versions().collect();
        let second = versions.get(1).map(|version| (*version, code.fresh_label()));
        let otherwise = second.map_or(self.walk, |(_, label)| label);
        let is_ethernet = self.site.hook.layer() == Layer::Ethernet;
        let from = if is_ethernet { ethernet::TYPE_OFFSET } else { 0 };
        self.plain(code, versions[0], from, beginning, otherwise);
        ebpf! { in code; {self.judge}: }
        judge(code);
        if let Some((version, label)) = second {
            ebpf! { in code; $label: }
            self.plain(code, version, from, beginning, self.walk);
            ebpf! { in code; ja {self.judge} }
        }
        self.walk(code);
        ebpf! { in code; sub $PAYLOAD_LEN, {udp::PAYLOAD_OFFSET as i32} }
        let short = self.copy_payload(code, beginning);
        ebpf! { in code; ja {self.judge} }
        short.iter().for_each(|short| short.write(code));
    }

    /// A packet without VLAN tags, options and extension headers, read at once with the beginning of its payload; what is shorter
    /// is walked, and what is of the other version goes on at `otherwise`.
    fn plain(
        &self,
        code: &mut Code,
        version: &'static IpVersion,
        from: usize,
        beginning: Option<usize>,
        otherwise: Label,
    ) {
        let bytes = beginning.unwrap_or(0);
        let payload_at = self.ip_offset() + version.header_len + udp::PAYLOAD_OFFSET;
        let ip_len = (version.header_len + udp::PAYLOAD_OFFSET) as i16;
        let ip = if self.access.is_direct {
            Mem { base: START, off: self.ip_offset() as i16 }
        } else {
            Mem { base: Reg::R10, off: PAYLOAD - ip_len }
        };
        if self.access.is_direct {
            ebpf! { in code;
                ldxw $START, [$CONTEXT + $DATA]
                ldxw $STOP, [$CONTEXT + $DATA_END]
                mov r1, $START
                add r1, {(payload_at + bytes) as i32}
                jgt r1, $STOP, {self.walk}
            }
        } else {
            let slot = PAYLOAD - (payload_at - from) as i16;
            self.access.load(code, from as i32, payload_at + bytes - from, slot, self.walk);
        }
        let is_ethernet = self.site.hook.layer() == Layer::Ethernet;
        if is_ethernet {
            ebpf! { in code; ldxh r1, [{Mem { off: ip.off - size_of::<u16>() as i16, ..ip }}] }
            self.check_ethertype(code, version, otherwise);
        }
        ebpf! { in code; ldxb r1, [$ip] }
        let not_plain = if is_ethernet { self.walk } else { otherwise };
        let window = PacketWindow::at(code, version, ip, from);
        if self.wants_source() {
            ebpf! { in code; stdw [$IP_AT], {self.ip_offset() as i32} }
        }
        self.check_headers(code, &window, not_plain);
        ebpf! { in code; sub $PAYLOAD_LEN, {udp::PAYLOAD_OFFSET as i32} }
        if self.access.is_direct && beginning.is_some() {
            const {
                assert!(
                    matches!((START, END), (Reg::R8, Reg::R8)),
                    "the packet's place becomes its payload's"
                )
            };
            ebpf! { in code; add $END, {payload_at as i32} }
        }
        ebpf! { in code; mov $AT, {payload_at as i32} }
    }

    /// Copies as much of the payload's beginning as there is, zeros behind it; gives what is to be written elsewhere.
    #[must_use]
    fn copy_payload(&self, code: &mut Code, beginning: Option<usize>) -> Option<ShortPayload> {
        let bytes = beginning?;
        let short = (bytes > 0).then(|| {
            let short = ShortPayload { bytes, labels: [(); 3].map(|()| code.fresh_label()) };
            let [begin, copy, done] = short.labels;
            ebpf! { in code;
                mov r4, {bytes as i32}
                jlt $PAYLOAD_LEN, r4, $begin
            $copy:
                mov r2, $AT
                mov r3, r10
                add r3, {i32::from(PAYLOAD)}
            }
            self.access.call_load(code, self.no_command);
            ebpf! { in code; $done: }
            short
        });
        if self.access.is_direct {
            ebpf! { in code;
                mov $END, r10
                add $END, {i32::from(PAYLOAD)}
            }
        }
        short
    }
}

/// What becomes of a payload that is shorter than the beginning that is copied: few are, and the others go straight on.
struct ShortPayload {
    bytes: usize,
    /// Where it begins; where r4 bytes are copied; and where none are left to be.
    labels: [Label; 3],
}

impl ShortPayload {
    fn write(&self, code: &mut Code) {
        let [begin, copy, done] = self.labels;
        ebpf! { in code; $begin: }
        for off in (PAYLOAD..PAYLOAD + self.bytes as i16).step_by(size_of::<u64>()) {
            ebpf! { in code; stdw [r10 + $off], 0 }
        }
        ebpf! { in code;
            mov r4, $PAYLOAD_LEN
            // Not `jeq`: of that verifiers before Linux 6.8 learn no least length, and refuse a copy of none.
            jlt r4, 1, $done
            ja $copy
        }
    }
}
