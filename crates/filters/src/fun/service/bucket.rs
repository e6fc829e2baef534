//! Limits: a token of a bucket for each packet.

use weir_asm::{Code, Label, Mem};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Limit, LimitId, Party, Per, RateLimit, SourceKey};
use weir_wire::udp;

use super::{
    BUCKETS, Compiler, SHARED_BUCKETS,
    integer::{choose, constant},
    source::{ADDRESS, VERSION},
    stack,
};
use crate::fun::{parse::AT, source_check};

/// A key of [`BUCKETS`]: the limit, the IP version, the address's bits, the port. Of [`super::KNOWN`] too, with 0 for the limit. Its first
/// word is one of [`SHARED_BUCKETS`].
pub(super) const KEY: i16 = -200;

pub(super) fn clear_key(code: &mut Code) {
    ebpf! { in code; mov r1, 0 }
    for off in (KEY..KEY + 32).step_by(8) {
        ebpf! { in code; stxdw [{stack(off)}], r1 }
    }
}

/// Where tokens are spent, and where limits go on that have one, and that have none.
pub(super) type Till = Option<(Label, Vec<[Label; 2]>)>;

/// Which limit spends a token, counted from 1 on.
const SPENDING: Mem = stack(-8);

fn keep_rate(code: &mut Code, rate: RateLimit) {
    constant(code, weir_asm::Reg::R1, rate.interval.get());
    ebpf! { in code; stxdw [{source_check::INTERVAL}], r1 }
    constant(code, weir_asm::Reg::R1, rate.tolerance());
    ebpf! { in code; stxdw [{source_check::TOLERANCE}], r1 }
}

impl Compiler<'_> {
    /// On at `conforms`, or at `refused` where the bucket has no token.
    pub(super) fn take_token(
        &mut self,
        code: &mut Code,
        LimitId(id): LimitId,
        limit: &Limit,
        [conforms, refused]: [Label; 2],
    ) {
        clear_key(code);
        ebpf! { in code;
            mov r1, {id as i32}
            stxw [{stack(KEY)}], r1
        }
        if let Per::Source(key) = limit.per {
            self.key_of_source(code, key, refused);
        }
        keep_rate(code, limit.rate);
        let new = code.fresh_label();
        let (spend, ends) = self.tills[usize::from(limit.per == Per::All)].get_or_insert((new, Vec::new()));
        ends.push([conforms, refused]);
        // From a register: verifiers before Linux 6.3 keep no number that is stored as an immediate, and go round in a circle.
        ebpf! { in code;
            mov r1, {ends.len() as i32}
            stxdw [$SPENDING], r1
            ja {*spend}
        }
    }

    /// Writes what spends a token of either map of buckets, once for all limits, since it is long.
    pub(super) fn write_tills(&mut self, code: &mut Code) {
        let maps = [BUCKETS.name(), SHARED_BUCKETS.name()];
        for (till, map) in std::mem::take(&mut self.tills).into_iter().zip(maps) {
            let Some((label, ends)) = till else { continue };
            let [conforms, refused] = [(); 2].map(|()| code.fresh_label());
            ebpf! { in code; $label: }
            source_check::take_token(code, map, KEY, self.site.features, [conforms, refused, refused]);
            let [_, none] = ends[0];
            for (which, label) in [conforms, refused].into_iter().enumerate() {
                let ends: Vec<_> = (1..).zip(ends.iter().map(|ends| ends[which])).collect();
                ebpf! { in code;
                $label:
                    ldxdw r0, [$SPENDING]
                }
                choose(code, &ends, none);
            }
        }
    }

    /// On at `conforms`, or at `refused` where the bucket with the key at [`KEY`] has no token.
    pub(super) fn spend(&self, code: &mut Code, map: &str, rate: RateLimit, [conforms, refused]: [Label; 2]) {
        keep_rate(code, rate);
        source_check::take_token(code, map, KEY, self.site.features, [conforms, refused, refused]);
    }

    /// The source into the key, or on at `refused`.
    pub(super) fn key_of_source(&self, code: &mut Code, key: SourceKey, refused: Label) {
        if key.has_port {
            let port_offset = match self.by {
                Party::Client => udp::SOURCE_OFFSET,
                Party::Service => udp::DESTINATION_OFFSET,
            };
            ebpf! { in code;
                mov r2, $AT
                sub r2, {(udp::PAYLOAD_OFFSET - port_offset) as i32}
                mov r3, r10
                add r3, {i32::from(KEY) + 24}
                mov r4, 2
            }
            self.access.call_load(code, refused);
        }
        let (version_4, done) = (code.fresh_label(), code.fresh_label());
        // IPv6 first, of whose key the verifier knows nothing: so it follows what comes behind but once.
        ebpf! { in code;
            ldxw r1, [$VERSION]
            stxw [{stack(KEY + 4)}], r1
            jne r1, 0, $version_4
        }
        let masked = |code: &mut Code, bits: u8, number: i16| {
            let bits = u32::from(bits).saturating_sub(64 * number as u32).min(64);
            let mask = u64::MAX.checked_shl(64 - bits).unwrap_or(0).to_be();
            constant(code, weir_asm::Reg::R2, mask);
            ebpf! { in code;
                ldxdw r1, [{stack(ADDRESS.off + 8 * number)}]
                and r1, r2
                stxdw [{stack(KEY + 8 + 8 * number)}], r1
            }
        };
        masked(code, key.v6, 0);
        masked(code, key.v6, 1);
        ebpf! { in code;
            ja $done
        $version_4:
        }
        masked(code, key.v4, 0);
        ebpf! { in code; $done: }
    }
}
