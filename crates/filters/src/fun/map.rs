//! The maps of the programs, and looking into them.

use weir_asm::{
    Code, Label, Layout, MapDef,
    maps::{Array, MapSpec, MapType, PerCpuArray, ReuseportSockArray},
};
use weir_asm_macros::ebpf;
use weir_wire::{
    MOST_WORKERS,
    maps::{self, Capture},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Packets accepted, packets dropped.
pub const VERDICTS: MapSpec<PerCpuArray<[u64; 2]>> = MapSpec::new(maps::VERDICTS, 1);

/// 0 accepts, anything else drops.
pub const PARAMETER: MapSpec<Array<u32>> = MapSpec::new(maps::PARAMETER, 1);

/// Packets seen.
pub const COUNTER: MapSpec<PerCpuArray<u64>> = MapSpec::new(maps::COUNTER, 1);

/// Each CPU's last packet.
pub const CAPTURE: MapSpec<PerCpuArray<CaptureSlot>> = MapSpec::new(maps::CAPTURE, 1);

/// A [`Capture`] as bytes, those behind its last field included.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub struct CaptureSlot(pub [u8; size_of::<Capture>()]);

impl MapType for CaptureSlot {
    /// The fields of [`Capture`], which C lays out alike.
    fn layout() -> Layout {
        let bytes = <[u8; maps::CAPTURE_LEN]>::layout();
        let fields =
            [("seen", u64::layout()), ("len", u32::layout()), ("captured", u32::layout()), ("bytes", bytes)];
        let fields = fields.map(|(name, layout)| (name.to_owned(), layout)).to_vec();
        Layout::Struct("capture".to_owned(), fields)
    }
}

/// The sockets that share a port, by worker.
pub const WORKERS: MapSpec<ReuseportSockArray> = MapSpec::new(maps::WORKERS, MOST_WORKERS);

/// Every map that a filter may have.
pub(super) const ALL: [fn() -> MapDef; 5] = [
    || VERDICTS.definition(),
    || PARAMETER.definition(),
    || COUNTER.definition(),
    || CAPTURE.definition(),
    || WORKERS.definition(),
];

/// Where the key of a lookup stands, below what is loaded of the packet.
const KEY: i16 = -16;

/// r0 = the only value of an array, or on at `absent`, where the verifier wants to be led although it always exists.
/// r1 to r5 are lost.
pub(crate) fn look_up(code: &mut Code, map: &str, absent: Label) {
    ebpf! { in code;
        stw [r10 + $KEY], 0
        mov r2, r10
        add r2, {i32::from(KEY)}
        lmap r1, $map
        call map_lookup_elem
        jeq r0, 0, $absent
    }
}

/// Adds 1 to the `u64` that stands `off` bytes behind the start of a per-CPU array's only value. A plain add is
/// enough: a per-CPU slot is written by its own CPU alone, in softirq or with bottom halves off.
pub(super) fn count(code: &mut Code, map: &str, off: i16) {
    let counted = code.fresh_label();
    look_up(code, map, counted);
    ebpf! { in code;
        ldxdw r1, [r0 + $off]
        add r1, 1
        stxdw [r0 + $off], r1
    $counted:
    }
}
