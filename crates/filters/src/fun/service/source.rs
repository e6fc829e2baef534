//! Sources: where they stand, and whose rules they meet.

use weir_asm::{Code, Label, Mem};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{KnownSources, Party, Per, Senders};
use weir_wire::headers::{ipv4, ipv6};

use super::{
    Compiler, KNOWN,
    bucket::{self, clear_key},
    lists, stack,
};
use crate::fun::{parse::word, source_check};

/// The address, as it stands in a header; an IPv4 address in front of zeros.
pub(super) const ADDRESS: Mem = stack(-160);
/// The first byte of the IP header, and then 1 for IPv4, 0 for IPv6.
pub(super) const VERSION: Mem = stack(-104);

/// 1 where the source is known, else 0.
const IS_KNOWN: Mem = stack(-144);

impl Compiler<'_> {
    /// Whether anything depends on the packet's source.
    pub(super) fn asks_for_source(&self) -> bool {
        let service = self.service;
        self.by == Party::Service
            || lists::has_lists(service)
            || service.accept.iter().any(|each| asks_whether_known(&each.from))
            || service
                .limits
                .iter()
                .any(|each| asks_whether_known(&each.from) || matches!(each.per, Per::Source(_)))
    }

    /// [`ADDRESS`] and [`VERSION`], or on at `unknown`: where the packet comes from, or goes to where the service sends it. To the verifier
    /// the version is either in both cases, and IPv6 comes first, of whose address it knows nothing: so it follows what comes
    /// behind but once.
    pub(super) fn load_source(&self, code: &mut Code, unknown: Label) {
        let (offset_v4, offset_v6) = match self.by {
            Party::Client => (ipv4::SOURCE_OFFSET, ipv6::SOURCE_OFFSET),
            Party::Service => (ipv4::DESTINATION_OFFSET, ipv6::DESTINATION_OFFSET),
        };
        let (version_4, known) = (code.fresh_label(), code.fresh_label());
        source_check::load(code, self.site, ipv4::VERSION_OFFSET, 1, VERSION, unknown);
        ebpf! { in code;
            ldxb r1, [$VERSION]
            rsh r1, 4
            // Of 4 and 6.
            mov r2, r1
            rsh r2, 1
            and r2, 1
            xor r2, 1
            stxdw [$VERSION], r2
            jeq r1, 4, $version_4
            jne r1, 6, $unknown
        }
        source_check::load(code, self.site, offset_v6, 16, ADDRESS, unknown);
        // An IPv4-mapped address (RFC 4291, 2.5.5.2) is the IPv4 address that it is; Linux takes UDP from them.
        ebpf! { in code;
            ldxdw r1, [$ADDRESS]
            jne r1, 0, $known
            ldxw r1, [{stack(ADDRESS.off + 8)}]
            jne32 r1, {word([0, 0, 0xff, 0xff])}, $known
            ldxw r1, [{stack(ADDRESS.off + 12)}]
            mov r2, 0
            stxdw [{stack(ADDRESS.off + 8)}], r2
            stxdw [$ADDRESS], r2
            stxw [$ADDRESS], r1
            mov r1, 1
            stxdw [$VERSION], r1
            ja $known
        $version_4:
            mov r1, 0
            stxdw [$ADDRESS], r1
            stxdw [{stack(ADDRESS.off + 8)}], r1
        }
        source_check::load(code, self.site, offset_v4, size_of::<u32>(), ADDRESS, unknown);
        ebpf! { in code; $known: }
    }

    /// Falls through for packets of those senders.
    pub(super) fn require_senders(&mut self, code: &mut Code, senders: &Senders, otherwise: Label) {
        match senders {
            Senders::Anyone => {}
            // No source is in it, and none was searched for.
            Senders::Listed(_) if !lists::has_lists(self.service) => ebpf! { in code; ja $otherwise },
            Senders::Listed(list) => self.require_list(code, list, otherwise),
            Senders::Known => ebpf! { in code;
                ldxdw r1, [$IS_KNOWN]
                jeq r1, 0, $otherwise
            },
            Senders::Unknown => ebpf! { in code;
                ldxdw r1, [$IS_KNOWN]
                jne r1, 0, $otherwise
            },
        }
    }

    /// [`IS_KNOWN`].
    pub(super) fn look_up_known(&self, code: &mut Code, known: &KnownSources) {
        let [unknown, done] = [(); 2].map(|()| code.fresh_label());
        clear_key(code);
        self.key_of_source(code, known.by, unknown);
        ebpf! { in code;
            lmap r1, {KNOWN.name()}
            mov r2, r10
            add r2, {i32::from(bucket::KEY)}
            call map_lookup_elem
            jeq r0, 0, $unknown
            ldxdw r1, [r0]
            stxdw [{source_check::MOMENT}], r1
            call ktime_get_ns
            ldxdw r2, [{source_check::MOMENT}]
            mov r1, 1
            jgt r2, r0, $done
        $unknown:
            mov r1, 0
        $done:
            stxdw [$IS_KNOWN], r1
        }
    }
}

/// Whether it makes a difference whether the source is known.
pub(super) fn asks_whether_known(senders: &Senders) -> bool {
    matches!(senders, Senders::Known | Senders::Unknown)
}
