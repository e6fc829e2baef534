//! The general case: header by header, each loaded at an offset that the one before it gave.

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_wire::{
    headers,
    headers::{ethernet, ipv4, ipv6},
    udp,
};

use super::{
    AT, END, IP, IP_AT, IpVersion, LENGTH, PacketParser, Wants,
    checks::{field, half, longest_word, shortest_word},
    common::load_beginning,
};
use crate::{Layer, fun::access::Access};

/// The header that is read.
pub(super) const HEADER: Mem = Mem { base: Reg::R10, off: IP };
/// The type of the next header, until UDP's is there.
pub(super) const NEXT: Reg = LENGTH;
/// Extension headers that may still come.
const LEFT: Mem = Mem { base: Reg::R10, off: -24 };
/// The first bytes of the payload.
const PAYLOAD: Mem = Mem { base: Reg::R10, off: -8 };
/// Bytes of an extension header that are read.
const EXTENSION_LEN: usize = 8;

impl PacketParser<'_> {
    pub(super) fn walk(&self, code: &mut Code) {
        ebpf! { in code; {self.walk}: }
        self.access.length(code, END);
        match self.site.hook.layer() {
            Layer::Udp => self.alone(code),
            Layer::Ethernet => self.ethernet(code),
            Layer::Ip => {
                ebpf! { in code; mov $AT, 0 }
                self.load(code, 1);
                let number = |version: &IpVersion| version.number;
                ebpf! { in code;
                    ldxb r1, [$HEADER]
                    rsh r1, 4
                }
                self.ip(code, number);
            }
        }
        if let Wants::Beginning { .. } = self.wants {
            beginning(code, &self.access, self.no_command);
        }
    }

    /// The header at [`AT`], or somebody else's packet.
    fn load(&self, code: &mut Code, len: usize) {
        self.access.load(code, AT, len, IP, self.other);
    }

    fn ethernet(&self, code: &mut Code) {
        ebpf! { in code; mov $AT, {ethernet::TYPE_OFFSET as i32} }
        self.load(code, size_of::<u16>());
        let no_tag = code.fresh_label();
        ebpf! { in code; ldxh r1, [$HEADER] }
        for _ in 0..ethernet::MAX_TAGS {
            ebpf! { in code;
                jeq r1, {half(ethernet::VLAN)}, tag
                jne r1, {half(ethernet::SERVICE_VLAN)}, $no_tag
            tag:
                add $AT, {ethernet::TAG_LEN as i32}
            }
            self.load(code, size_of::<u16>());
            ebpf! { in code; ldxh r1, [$HEADER] }
        }
        ebpf! { in code;
        $no_tag:
            add $AT, {size_of::<u16>() as i32}
        }
        self.ip(code, |version| half(version.ethertype));
    }

    /// The IP version is that whose `key` is in r1.
    fn ip(&self, code: &mut Code, key: impl Fn(&IpVersion) -> i32) {
        if self.wants_source() {
            ebpf! { in code; stxdw [$IP_AT], $AT }
        }
        let udp = code.fresh_label();
        let versions: Vec<_> = self.versions().collect();
        for (number, version) in versions.iter().enumerate() {
            let next = if number + 1 < versions.len() { code.fresh_label() } else { self.other };
            ebpf! { in code; jne r1, {key(version)}, $next }
            self.load(code, version.header_len);
            ebpf! { in code; ldxb r1, [$HEADER] }
            if version.number == IpVersion::V4.number {
                self.ipv4(code, udp);
            } else {
                self.ipv6(code, udp);
            }
            if next != self.other {
                ebpf! { in code; $next: }
            }
        }
        self.udp(code, udp);
    }

    /// From the header's first byte in r1 on.
    fn ipv4(&self, code: &mut Code, udp: Label) {
        ebpf! { in code;
            mov $NEXT, r1
            and $NEXT, 0xf
            lsh $NEXT, 2
            jlt $NEXT, {ipv4::MIN_HEADER_LEN as i32}, {self.other}
        }
        self.check_version(code, &IpVersion::V4, self.other);
        ebpf! { in code;
            ldxb r1, [{field(HEADER, ipv4::PROTOCOL_OFFSET)}]
            jne r1, {i32::from(headers::UDP)}, {self.other}
        }
        let fragment = self.fragment.map(|(_, its_udp)| (code.fresh_label(), its_udp));
        self.check_ip(code, &IpVersion::V4, HEADER, fragment.map_or(self.other, |(label, _)| label));
        self.packet_end(code, &IpVersion::V4);
        ebpf! { in code;
            add $AT, $NEXT
            ja $udp
        }
        if let Some((label, its_udp)) = fragment {
            ebpf! { in code;
            $label:
                jset r1, {half(ipv4::FRAGMENT_MASK & !ipv4::MORE_FRAGMENTS)}, {self.other}
            }
            self.check_address(code, &IpVersion::V4, HEADER);
            self.packet_end(code, &IpVersion::V4);
            ebpf! { in code;
                add $AT, $NEXT
                ja $its_udp
            }
        }
    }

    /// [`END`] = the end of the IP packet at [`AT`], as it says itself.
    fn packet_end(&self, code: &mut Code, version: &IpVersion) {
        self.ip_length(code, version, HEADER, Reg::R1);
        ebpf! { in code;
            add r1, $AT
            add r1, {version.uncounted as i32}
            jgt r1, $END, {self.other}
            mov $END, r1
        }
    }

    fn ipv6(&self, code: &mut Code, udp: Label) {
        self.check_version(code, &IpVersion::V6, self.other);
        self.check_address(code, &IpVersion::V6, HEADER);
        // Longer than its length can say (RFC 2675).
        ebpf! { in code;
            ldxh r1, [{field(HEADER, ipv6::PAYLOAD_LENGTH_OFFSET)}]
            jne r1, 0, said
            ldxb r1, [{field(HEADER, ipv6::NEXT_HEADER_OFFSET)}]
            jeq r1, {i32::from(ipv6::HOP_BY_HOP)}, {self.unreadable}
        said:
        }
        self.packet_end(code, &IpVersion::V6);
        let again = code.fresh_label();
        ebpf! { in code;
            ldxb $NEXT, [{field(HEADER, ipv6::NEXT_HEADER_OFFSET)}]
            add $AT, {ipv6::HEADER_LEN as i32}
            // From a register: verifiers before Linux 6.3 keep no number that is stored as an immediate.
            mov r1, {ipv6::MAX_EXTENSIONS as i32}
            stxdw [$LEFT], r1
        $again:
            jeq $NEXT, {i32::from(headers::UDP)}, $udp
            ldxdw r1, [$LEFT]
            jeq r1, 0, {self.unread}
            sub r1, 1
            stxdw [$LEFT], r1
        }
        self.extension(code);
        ebpf! { in code; ja $again }
    }

    /// [`AT`] moves behind an extension header, [`NEXT`] to what comes then.
    fn extension(&self, code: &mut Code) {
        let fragment = self.fragment.map(|ends| (code.fresh_label(), ends));
        let is_fragment = fragment.map_or(self.other, |(label, _)| label);
        self.check_room(code, EXTENSION_LEN);
        self.load(code, EXTENSION_LEN);
        ebpf! { in code;
            jeq $NEXT, {i32::from(ipv6::FRAGMENT)}, fragment
            ldxb r1, [{field(HEADER, ipv6::EXTENSION_LENGTH_OFFSET)}]
            jeq $NEXT, {i32::from(ipv6::AUTHENTICATION)}, authentication
            add r1, 1
            lsh r1, 3
            jeq $NEXT, {i32::from(ipv6::HOP_BY_HOP)}, next
            jeq $NEXT, {i32::from(ipv6::DESTINATION_OPTIONS)}, next
            jne $NEXT, {i32::from(ipv6::ROUTING)}, {self.other}
            ldxb r2, [{field(HEADER, ipv6::SEGMENTS_LEFT_OFFSET)}]
            jne r2, 0, {self.other}
            ja next
        fragment:
            mov r1, {ipv6::FRAGMENT_LEN as i32}
            ldxh r2, [{field(HEADER, ipv6::FRAGMENT_OFFSET)}]
            jset r2, {half(ipv6::FRAGMENT_MASK)}, $is_fragment
            ja next
        authentication:
            add r1, 2
            lsh r1, 2
        next:
            add $AT, r1
            ldxb $NEXT, [$HEADER]
        }
        if let Some((label, (end, its_udp))) = fragment {
            let passed = code.fresh_label();
            ebpf! { in code;
                ja $passed
            $label:
                jset r2, {half(ipv6::FRAGMENT_MASK & !ipv6::MORE_FRAGMENTS)}, {self.other}
                add $AT, {ipv6::FRAGMENT_LEN as i32}
                ldxb $NEXT, [$HEADER]
                jeq $NEXT, {i32::from(headers::UDP)}, $its_udp
            }
            self.end_at_extensions(code, NEXT, end);
            ebpf! { in code; $passed: }
        }
    }

    /// `len` bytes of the IP packet are left.
    fn check_room(&self, code: &mut Code, len: usize) {
        ebpf! { in code;
            mov r1, $AT
            add r1, {len as i32}
            jgt r1, $END, {self.other}
        }
    }

    /// [`AT`] and [`END`] become the payload's.
    fn udp(&self, code: &mut Code, label: Label) {
        ebpf! { in code; $label: }
        self.check_room(code, udp::HEADER_LEN);
        self.load(code, udp::HEADER_LEN);
        self.check_udp(code, HEADER);
        ebpf! { in code;
            jeq $LENGTH, 0, {self.unreadable}
            jlt $LENGTH, {udp::HEADER_LEN as i32}, {self.other}
            mov r1, $AT
            add r1, $LENGTH
            jgt r1, $END, {self.other}
            mov $END, r1
            add $AT, {udp::PAYLOAD_OFFSET as i32}
        }
        self.check_segments(code);
        if let Some((end, its_udp)) = self.fragment {
            let passed = code.fresh_label();
            ebpf! { in code;
                ja $passed
            $its_udp:
            }
            self.check_room(code, udp::HEADER_LEN);
            self.load(code, udp::HEADER_LEN);
            self.check_port(code, HEADER);
            ebpf! { in code;
                ja $end
            $passed:
            }
        }
    }
}

/// `FIRST` and `REST`, from a payload between [`AT`] and [`END`] that may be shorter than they are; on at
/// `no_command` where it is shorter than any command.
pub(in crate::fun) fn beginning(code: &mut Code, access: &Access, no_command: Label) {
    ebpf! { in code;
        mov r4, $END
        sub r4, $AT
        jle r4, {longest_word() as i32}, whole
        mov r4, {longest_word() as i32}
    whole:
        jlt r4, {shortest_word() as i32}, $no_command
        stdw [$PAYLOAD], 0
        mov r2, $AT
        mov r3, r10
        add r3, {i32::from(PAYLOAD.off)}
    }
    access.call_load(code, no_command);
    load_beginning(code, PAYLOAD);
}
