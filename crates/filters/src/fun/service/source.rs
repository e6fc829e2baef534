//! Sources: which list they are in.

use weir_asm::{Code, Label, Mem};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{KnownSources, Party, Per, Senders};
use weir_wire::headers::{ipv4, ipv6};

use super::{
    Compiler, KNOWN, PREFIXES,
    bucket::{self, clear_key},
    list_number, stack,
};
use crate::fun::{guard, parse::word};

/// A key of [`PREFIXES`]: how many bits count, the list and IP version, and the address.
pub(super) const KEY: i16 = -168;
pub(super) const LIST: Mem = stack(KEY + 4);
pub(super) const ADDRESS: Mem = stack(KEY + 8);
/// The first byte of the IP header, and then 1 for IPv4, 0 for IPv6.
pub(super) const VERSION: Mem = stack(-104);

/// 1 where the source is known, else 0.
const IS_KNOWN: Mem = stack(-144);

/// Bits of a whole key.
const ALL_BITS: i32 = 32 + 128;

impl Compiler<'_> {
    /// Whether anything depends on the packet's source.
    pub(super) fn asks_for_source(&self) -> bool {
        let is_listed = |senders: &Senders| !matches!(senders, Senders::Anyone);
        let service = self.service;
        self.by == Party::Service
            || !service.allow.is_empty()
            || !service.block.is_empty()
            || service.accept.iter().any(|each| is_listed(&each.from))
            || service.limits.iter().any(|each| is_listed(&each.from) || matches!(each.per, Per::Source(_)))
    }

    /// [`ADDRESS`] and [`VERSION`], or on at `unknown`: where the packet comes from, or goes to where the service sends it.
    pub(super) fn load_source(&self, code: &mut Code, unknown: Label) {
        let (offset_v4, offset_v6) = match self.by {
            Party::Client => (ipv4::SOURCE_OFFSET, ipv6::SOURCE_OFFSET),
            Party::Service => (ipv4::DESTINATION_OFFSET, ipv6::DESTINATION_OFFSET),
        };
        let (version_6, known) = (code.fresh_label(), code.fresh_label());
        guard::load(code, self.site, ipv4::VERSION_OFFSET, 1, VERSION, unknown);
        ebpf! { in code;
            mov r1, 0
            stxdw [$ADDRESS], r1
            stxdw [{stack(KEY + 16)}], r1
            mov r1, {ALL_BITS}
            stxw [{stack(KEY)}], r1
            ldxb r1, [$VERSION]
            rsh r1, 4
            jeq r1, 6, $version_6
            jne r1, 4, $unknown
            mov r1, 1
            stxdw [$VERSION], r1
        }
        guard::load(code, self.site, offset_v4, size_of::<u32>(), ADDRESS, unknown);
        ebpf! { in code;
            ja $known
        $version_6:
            mov r1, 0
            stxdw [$VERSION], r1
        }
        guard::load(code, self.site, offset_v6, 16, ADDRESS, unknown);
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
        $known:
        }
    }

    /// On at `found` where the source is in the list.
    pub(super) fn find_in_list(&self, code: &mut Code, list: usize, found: Label) {
        ebpf! { in code;
            ldxdw r1, [$VERSION]
            add r1, {list_number(list, false) as i32}
            stxw [$LIST], r1
            mov r2, r10
            add r2, {i32::from(KEY)}
            lmap r1, {PREFIXES.name()}
            call map_lookup_elem
            jne r0, 0, $found
        }
    }

    /// Falls through for packets of those senders.
    pub(super) fn require_senders(&mut self, code: &mut Code, senders: &Senders, otherwise: Label) {
        match senders {
            Senders::Anyone => {}
            Senders::Listed(list) => {
                let number = super::lists(self.service).position(|each| std::ptr::eq(each, list));
                let found = code.fresh_label();
                self.find_in_list(code, number.expect("it is one of the service's"), found);
                ebpf! { in code;
                    ja $otherwise
                $found:
                }
            }
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
            stxdw [{guard::MOMENT}], r1
            call ktime_get_ns
            ldxdw r2, [{guard::MOMENT}]
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
