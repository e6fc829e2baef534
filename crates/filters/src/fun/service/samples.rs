//! Samples of what is dropped: copies of packets through a ring buffer, at most so many.

use std::mem::offset_of;

use weir_asm::{
    Code, Label, Layout, Reg,
    maps::{Array, MapSpec, MapType, PerCpuArray, RingBuf},
};
use weir_asm_macros::ebpf;
use weir_guard::meaning::RateLimit;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{Compiler, bucket::KEY, stack, walk::forget};
use crate::fun::{map, source_check::NOW};

/// Packets that the service dropped, or would have dropped where it observes (Linux 5.8); some 900 fit.
pub const SAMPLES: MapSpec<RingBuf<SampledPacket>> = MapSpec::new("samples", 1 << 18);

/// Packets that had a token and found [`SAMPLES`] full.
pub const LOST_SAMPLES: MapSpec<PerCpuArray<u64>> = MapSpec::new("lost_samples", 1);

/// When the next sample is due, nanoseconds of `CLOCK_MONOTONIC`.
pub(super) const SAMPLE_BUCKET: MapSpec<Array<u64>> = MapSpec::new("sample_bucket", 1);

/// Bytes of a packet that a sample keeps at most: as many as leave no hole behind a [`SampledPacket`].
pub const SAMPLED_LEN: usize = 260;

/// A packet that a guard dropped.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct SampledPacket {
    /// When it came, nanoseconds of `CLOCK_MONOTONIC`.
    pub when: u64,
    /// The number of the decision, as [`weir_guard::meaning::Service::decisions`] lists them.
    pub decision: u32,
    /// Bytes of the packet as the hook sees it.
    pub len: u32,
    captured: u32,
    bytes: [u8; SAMPLED_LEN],
}

impl SampledPacket {
    /// The packet's first bytes, from the header on that the hook sees first ([`crate::Hook::layer`]).
    pub fn begin(&self) -> &[u8] {
        // Behind them is what the ring buffer held before.
        &self.bytes[..SAMPLED_LEN.min(self.captured as usize)]
    }
}

impl MapType for SampledPacket {
    fn layout() -> Layout {
        let fields = [
            ("when", u64::layout()),
            ("decision", u32::layout()),
            ("len", u32::layout()),
            ("captured", u32::layout()),
            ("bytes", <[u8; SAMPLED_LEN]>::layout()),
        ];
        let fields = fields.map(|(name, layout)| (name.to_owned(), layout)).to_vec();
        Layout::Struct("sampled_packet".to_owned(), fields)
    }
}

impl Compiler<'_> {
    /// Keeps the packet of the decision whose number is in r1 if there is a token, and goes on at `end` with the number in r1 again.
    /// r7 to r9 are lost.
    pub(super) fn sample(&self, code: &mut Code, rate: RateLimit, [begin, end]: [Label; 2]) {
        const NUMBER: Reg = Reg::R7;
        const RECORD: Reg = Reg::R8;
        const LEN: Reg = Reg::R9;
        let [token, whole, submit, lost, done] = [(); 5].map(|()| code.fresh_label());
        ebpf! { in code; $begin: }
        forget(code, NOW, Reg::R1);
        ebpf! { in code;
            ldxdw $NUMBER, [$NOW]
            stw [{stack(KEY)}], 0
        }
        self.spend(code, SAMPLE_BUCKET.name(), rate, [token, done]);
        ebpf! { in code; $token: }
        self.access.length(code, LEN);
        ebpf! { in code;
            lmap r1, {SAMPLES.name()}
            mov r2, {size_of::<SampledPacket>() as i32}
            mov r3, 0
            call ringbuf_reserve
            jeq r0, 0, $lost
            mov $RECORD, r0
            ldxdw r1, [$NOW]
            stxdw [$RECORD + {offset_of!(SampledPacket, when) as i16}], r1
            stxw [$RECORD + {offset_of!(SampledPacket, decision) as i16}], $NUMBER
            stxw [$RECORD + {offset_of!(SampledPacket, len) as i16}], $LEN
            stw [$RECORD + {offset_of!(SampledPacket, captured) as i16}], 0
            jle $LEN, {SAMPLED_LEN as i32}, $whole
            mov $LEN, {SAMPLED_LEN as i32}
        $whole:
            jlt $LEN, 1, $submit
            mov r2, 0
            mov r3, $RECORD
            add r3, {offset_of!(SampledPacket, bytes) as i32}
            mov r4, $LEN
        }
        self.access.call_load(code, submit);
        ebpf! { in code;
            stxw [$RECORD + {offset_of!(SampledPacket, captured) as i16}], $LEN
        $submit:
            mov r1, $RECORD
            mov r2, 0
            call ringbuf_submit
            ja $done
        $lost:
        }
        map::count(code, LOST_SAMPLES.name(), 0);
        ebpf! { in code;
        $done:
            mov r1, $NUMBER
            ja $end
        }
    }
}

const _: () = assert!(size_of::<SampledPacket>() == offset_of!(SampledPacket, bytes) + SAMPLED_LEN);
