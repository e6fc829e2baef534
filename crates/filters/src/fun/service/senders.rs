//! Senders: whose rules a source meets.

use weir_asm::{Code, Label, Mem};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{KnownSources, Party, Per, Senders};

use super::{
    Compiler, KNOWN,
    bucket::{self, clear_key},
    lists, stack,
};
use crate::fun::source_check::MOMENT;

/// 1 where the source is known, else 0: in the half of a slot in which the verifier sees no number, so that it follows what comes behind
/// but once.
const IS_KNOWN: Mem = stack(-140);

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

    /// Falls through for packets of those senders.
    pub(super) fn require_senders(&mut self, code: &mut Code, senders: &Senders, otherwise: Label) {
        match senders {
            Senders::Anyone => {}
            // No source is in it, and none was searched for.
            Senders::Listed(_) if !lists::has_lists(self.service) => ebpf! { in code; ja $otherwise },
            Senders::Listed(list) => self.require_list(code, list, otherwise),
            Senders::Known => ebpf! { in code;
                ldxw r1, [$IS_KNOWN]
                jeq r1, 0, $otherwise
            },
            Senders::Unknown => ebpf! { in code;
                ldxw r1, [$IS_KNOWN]
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
            stxdw [{MOMENT}], r1
            call ktime_get_ns
            ldxdw r2, [{MOMENT}]
            mov r1, 1
            jgt r2, r0, $done
        $unknown:
            mov r1, 0
        $done:
            stxw [$IS_KNOWN], r1
        }
    }
}

/// Whether it makes a difference whether the source is known.
pub(super) fn asks_whether_known(senders: &Senders) -> bool {
    matches!(senders, Senders::Known | Senders::Unknown)
}
