//! The maps of the filters, each declared once for every toolkit and for user space.

use weir_asm::{
    Layout, MapDef,
    maps::{Array, Hash, LpmTrie, LruHash, MapSpec, MapType, PerCpuArray, ReuseportSockArray},
};
use weir_wire::{
    MOST_WORKERS,
    maps::{self, Capture},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{BLOCKED_PREFIXES, KNOWN_KEYS, QUOTA_SOURCES};

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

/// Keys of the bag, with 1. The loader gives it the room that the filter asks for.
pub const KEYS: MapSpec<Hash<u32, u8>> = MapSpec::new(maps::KEYS, KNOWN_KEYS);

/// Nanoseconds from one packet of a source to its next, and how many of them a packet may be early.
pub const QUOTA: MapSpec<Array<[u64; 2]>> = MapSpec::new(maps::QUOTA, 1);

/// When each source's next packet is due, nanoseconds of `CLOCK_MONOTONIC`.
pub const SOURCES: MapSpec<LruHash<[u8; 16], u64>> = MapSpec::new(maps::SOURCES, QUOTA_SOURCES);

/// When a blocked prefix is free again, nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
pub const BLOCKLIST: MapSpec<LpmTrie<16, u64>> = MapSpec::new(maps::BLOCKLIST, BLOCKED_PREFIXES);

/// Every map that a filter may have.
pub(crate) const ALL: [fn() -> MapDef; 9] = [
    || VERDICTS.definition(),
    || PARAMETER.definition(),
    || COUNTER.definition(),
    || CAPTURE.definition(),
    || WORKERS.definition(),
    || KEYS.definition(),
    || QUOTA.definition(),
    || SOURCES.definition(),
    || BLOCKLIST.definition(),
];
