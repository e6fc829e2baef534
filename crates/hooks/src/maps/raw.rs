//! From typed keys and values to aya's maps.
//!
//! Two of aya's types are enough: the kernel has the same commands for every kind of map with keys, and what matters
//! is whether a value is one or one per CPU.

use std::io;

use aya::{
    Pod,
    maps::{HashMap, Map, MapData, MapError, PerCpuHashMap, PerCpuValues},
};
use weir_asm::maps::{MapType, PerCpu, Shared};

/// A key or a value as aya takes it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Raw<T>(T);

// SAFETY: a `MapType` is `FromBytes`, so every bit pattern is a value, and `IntoBytes`, so no byte is padding.
unsafe impl<T: MapType> Pod for Raw<T> {}

/// Maps with keys: how many values a key has, and the commands, as aya has them.
pub trait Copies<K: MapType, V: MapType> {
    /// What a key has.
    type Entry;
    /// aya's map.
    type Handle;

    /// A handle on any map with keys of that kind.
    fn open(data: MapData) -> Result<Self::Handle, MapError>;
    /// BPF_MAP_LOOKUP_ELEM.
    fn look_up(handle: &Self::Handle, key: K) -> Result<Self::Entry, MapError>;
    /// BPF_MAP_UPDATE_ELEM.
    fn update(handle: &mut Self::Handle, key: K, entry: Self::Entry, flags: u64) -> Result<(), MapError>;
    /// BPF_MAP_DELETE_ELEM.
    fn delete(handle: &mut Self::Handle, key: K) -> Result<(), MapError>;
    /// BPF_MAP_GET_NEXT_KEY, again and again.
    fn keys(handle: &Self::Handle) -> impl Iterator<Item = Result<K, MapError>>;
}

impl<K: MapType, V: MapType> Copies<K, V> for Shared {
    type Entry = V;
    type Handle = HashMap<MapData, Raw<K>, Raw<V>>;

    fn open(data: MapData) -> Result<Self::Handle, MapError> {
        Map::HashMap(data).try_into()
    }

    fn look_up(handle: &Self::Handle, key: K) -> Result<V, MapError> {
        handle.get(&Raw(key), 0).map(|Raw(value)| value)
    }

    fn update(handle: &mut Self::Handle, key: K, value: V, flags: u64) -> Result<(), MapError> {
        handle.insert(Raw(key), Raw(value), flags)
    }

    fn delete(handle: &mut Self::Handle, key: K) -> Result<(), MapError> {
        handle.remove(&Raw(key))
    }

    fn keys(handle: &Self::Handle) -> impl Iterator<Item = Result<K, MapError>> {
        handle.keys().map(|key| key.map(|Raw(key)| key))
    }
}

impl<K: MapType, V: MapType> Copies<K, V> for PerCpu {
    type Entry = Vec<V>;
    type Handle = PerCpuHashMap<MapData, Raw<K>, Raw<V>>;

    fn open(data: MapData) -> Result<Self::Handle, MapError> {
        Map::PerCpuHashMap(data).try_into()
    }

    fn look_up(handle: &Self::Handle, key: K) -> Result<Vec<V>, MapError> {
        let values = handle.get(&Raw(key), 0)?;
        Ok(values.iter().map(|&Raw(value)| value).collect())
    }

    fn update(handle: &mut Self::Handle, key: K, values: Vec<V>, flags: u64) -> Result<(), MapError> {
        let values: Vec<_> = values.into_iter().map(Raw).collect();
        let values = PerCpuValues::try_from(values).map_err(MapError::IoError)?;
        handle.insert(Raw(key), values, flags)
    }

    fn delete(handle: &mut Self::Handle, key: K) -> Result<(), MapError> {
        handle.remove(&Raw(key))
    }

    fn keys(handle: &Self::Handle) -> impl Iterator<Item = Result<K, MapError>> {
        handle.keys().map(|key| key.map(|Raw(key)| key))
    }
}

/// What there is of a map whose kind has typed handles.
pub(crate) fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuHashMap(data)
        | Map::PerCpuLruHashMap(data)
        | Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::LpmTrie(data)
        | Map::ReusePortSockArray(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}

/// The errno of a failed command.
pub(super) fn errno(error: &MapError) -> Option<i32> {
    match error {
        MapError::SyscallError(error) => error.io_error.raw_os_error(),
        MapError::IoError(error) => io::Error::raw_os_error(error),
        _ => None,
    }
}
