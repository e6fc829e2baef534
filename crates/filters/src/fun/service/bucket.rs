//! Limits: a token of a bucket for each packet.

use weir_asm::{Code, Label};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{Limit, LimitId, Party, Per, RateLimit, SourceKey};
use weir_wire::udp;

use super::{
    BUCKETS, Compiler, SHARED_BUCKETS,
    integer::constant,
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

impl Compiler<'_> {
    /// On at `conforms`, or at `refused` where the bucket has no token.
    pub(super) fn take_token(
        &self,
        code: &mut Code,
        LimitId(id): LimitId,
        limit: &Limit,
        [conforms, refused]: [Label; 2],
    ) {
        clear_key(code);
        let map = match limit.per {
            Per::All => SHARED_BUCKETS.name(),
            Per::Source(_) => BUCKETS.name(),
        };
        ebpf! { in code;
            mov r1, {id as i32}
            stxw [{stack(KEY)}], r1
        }
        if let Per::Source(key) = limit.per {
            self.key_of_source(code, key, refused);
        }
        self.spend(code, map, limit.rate, [conforms, refused]);
    }

    /// On at `conforms`, or at `refused` where the bucket with the key at [`KEY`] has no token.
    pub(super) fn spend(&self, code: &mut Code, map: &str, rate: RateLimit, [conforms, refused]: [Label; 2]) {
        constant(code, weir_asm::Reg::R1, rate.interval.get());
        ebpf! { in code; stxdw [{source_check::INTERVAL}], r1 }
        constant(code, weir_asm::Reg::R1, rate.tolerance());
        ebpf! { in code; stxdw [{source_check::TOLERANCE}], r1 }
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
        let (version_6, done) = (code.fresh_label(), code.fresh_label());
        ebpf! { in code;
            ldxdw r1, [$VERSION]
            stxw [{stack(KEY + 4)}], r1
            jeq r1, 0, $version_6
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
        masked(code, key.v4, 0);
        ebpf! { in code;
            ja $done
        $version_6:
        }
        masked(code, key.v6, 0);
        masked(code, key.v6, 1);
        ebpf! { in code; $done: }
    }
}
