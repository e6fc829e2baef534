//! The maps of filters with a memory.

use weir_asm::{
    MapDef,
    maps::{Array, Hash, LpmTrie, LruHash, MapSpec},
};
use weir_wire::maps;

use crate::{BLOCKED_PREFIXES, KNOWN_KEYS, QUOTA_SOURCES};

/// Keys of the bag, with 1. The loader gives it the room that the filter asks for.
pub const KEYS: MapSpec<Hash<u32, u8>> = MapSpec::new(maps::KEYS, KNOWN_KEYS);

/// Nanoseconds from one packet of a source to its next, and how many of them a packet may be early.
pub const QUOTA: MapSpec<Array<[u64; 2]>> = MapSpec::new(maps::QUOTA, 1);

/// When each source's next packet is due, nanoseconds of `CLOCK_MONOTONIC`.
pub const SOURCES: MapSpec<LruHash<[u8; 16], u64>> = MapSpec::new(maps::SOURCES, QUOTA_SOURCES);

/// When a blocked prefix is free again, nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
pub const BLOCKLIST: MapSpec<LpmTrie<16, u64>> = MapSpec::new(maps::BLOCKLIST, BLOCKED_PREFIXES);

/// All of them.
pub(super) const ALL: [fn() -> MapDef; 4] =
    [|| KEYS.definition(), || QUOTA.definition(), || SOURCES.definition(), || BLOCKLIST.definition()];
