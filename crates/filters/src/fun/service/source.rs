//! Sources: where they stand.

use weir_asm::{Code, Label, Mem};
use weir_asm_macros::ebpf;
use weir_guard::meaning::Party;
use weir_wire::headers::{ipv4, ipv6};

use super::{Compiler, stack};
use crate::fun::{parse::word, source_check};

/// The address, as it stands in a header; an IPv4 address in front of zeros.
pub(super) const ADDRESS: Mem = stack(-160);
/// The first byte of the IP header.
pub(super) const FIRST_BYTE: Mem = stack(-104);
/// 1 for IPv4, 0 for IPv6, 32 bits: in the second half of 8 bytes, where the verifier keeps nothing, so that it follows what comes behind
/// once for both.
pub(super) const VERSION: Mem = stack(FIRST_BYTE.off + 4);

impl Compiler<'_> {
    /// [`ADDRESS`] and [`VERSION`], or on at `unknown`: where the packet comes from, or goes to where the service sends it. The
    /// verifier goes on first from an IPv6 address, of which it knows nothing, and so but once.
    pub(super) fn load_source(&self, code: &mut Code, unknown: Label) {
        let (offset_v4, offset_v6) = match self.by {
            Party::Client => (ipv4::SOURCE_OFFSET, ipv6::SOURCE_OFFSET),
            Party::Service => (ipv4::DESTINATION_OFFSET, ipv6::DESTINATION_OFFSET),
        };
        let [version_4, version_6, zeros, known] = [(); 4].map(|()| code.fresh_label());
        source_check::load(code, self.site, ipv4::VERSION_OFFSET, 1, FIRST_BYTE, unknown);
        ebpf! { in code;
            ldxb r1, [$FIRST_BYTE]
            rsh r1, 4
            // Of 4 and 6.
            mov r2, r1
            rsh r2, 1
            and r2, 1
            xor r2, 1
            stxw [$VERSION], r2
            jeq r1, 4, $version_4
            jeq r1, 6, $version_6
            ja $unknown
        // An IPv4-mapped address (RFC 4291, 2.5.5.2) is the IPv4 address that it is. Linux itself takes no packet from one since 5.4
        // (net/ipv6/ip6_input.c, `ip6_rcv_core`).
        $zeros:
            ldxw r1, [{stack(ADDRESS.off + 8)}]
            jne32 r1, {word([0, 0, 0xff, 0xff])}, $known
            ldxw r1, [{stack(ADDRESS.off + 12)}]
            // With anything above it, so that the verifier knows nothing of what it stores; what it knows a part of can't be stored in two
            // parts without CAP_PERFMON ("attempt to corrupt spilled pointer on stack", seen on Linux 5.10 and 6.1).
            ldxdw r3, [{stack(ADDRESS.off + 8)}]
            lsh r3, 32
            or r1, r3
            mov r2, 0
            stxdw [{stack(ADDRESS.off + 8)}], r2
            stxw [{stack(ADDRESS.off + 4)}], r2
            stxw [$ADDRESS], r1
            mov r1, 1
            stxw [$VERSION], r1
            ja $known
        $version_4:
            mov r1, 0
            stxdw [$ADDRESS], r1
            stxdw [{stack(ADDRESS.off + 8)}], r1
        }
        source_check::load(code, self.site, offset_v4, size_of::<u32>(), ADDRESS, unknown);
        ebpf! { in code;
            ja $known
        $version_6:
        }
        source_check::load(code, self.site, offset_v6, 16, ADDRESS, unknown);
        ebpf! { in code;
            ldxdw r1, [$ADDRESS]
            jeq r1, 0, $zeros
        }
        ebpf! { in code; $known: }
    }
}
