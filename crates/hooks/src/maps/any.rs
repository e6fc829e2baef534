//! Maps of anybody's object, read by name: their types are known from its BTF alone.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use aya::{Ebpf, maps::MapData, util::nr_cpus};
use weir_asm::{Layout, MapDef, MapKind};

use super::{MapFailure, MapValue, raw};
use crate::sys;

/// A handle on a map whose types are known only when it is read. It keeps the map alive by itself.
pub struct AnyMap {
    definition: MapDef,
    access: Option<MapAccess>,
}

/// What the kernel says of a map, by which it is read.
struct MapAccess {
    map: OwnedFd,
    key_bytes: usize,
    value_bytes: usize,
    /// How many values a key has: the possible CPUs, or one.
    copies: usize,
    /// How many entries it has, where they all exist.
    array_len: Option<u32>,
}

/// The first entries of a map, in the kernel's order, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Those that were read.
    pub entries: Vec<AnyEntry>,
    /// How many more there are; at least so many, where [`Excerpt::has_even_more`].
    pub more: u64,
    /// Whether counting stopped before the end.
    pub has_even_more: bool,
}

/// A key and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyEntry {
    /// The key.
    pub key: MapValue,
    /// Its value, or one for each possible CPU.
    pub values: Vec<MapValue>,
}

/// Keys that are counted at most behind those that are read: each costs a system call.
const MOST_COUNTED: usize = 1 << 16;

impl AnyMap {
    /// The map of that definition in a loaded object.
    pub(crate) fn of(ebpf: &Ebpf, definition: &MapDef) -> Result<Self, MapFailure> {
        let data = ebpf.map(&definition.name).and_then(raw::data);
        let access = data.map(|data| MapAccess::of(data, definition)).transpose()?.flatten();
        Ok(Self { definition: definition.clone(), access })
    }

    /// Its declaration; a type that nothing is known of is an integer where it has the size of one, or bytes.
    pub fn definition(&self) -> &MapDef {
        &self.definition
    }

    /// Whether it is of a kind whose entries can be read: those with keys, whose values are data.
    pub fn is_readable(&self) -> bool {
        self.access.is_some()
    }

    /// Whether a key has a value on each CPU.
    pub fn is_per_cpu(&self) -> bool {
        is_per_cpu(self.definition.kind)
    }

    /// Its first entries, `most` of them; none where it isn't readable. Keys that come or go meanwhile may be left out or
    /// come twice.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn excerpt(&self, most: usize) -> Result<Excerpt, MapFailure> {
        let Some(access) = &self.access else { return Ok(Excerpt::default()) };
        let failed = |doing| move |error| MapFailure::call(&self.definition.name, doing, error);
        let mut excerpt = Excerpt::default();
        let mut key = access.next(None).map_err(failed("walking through"))?;
        for _ in 0..most + MOST_COUNTED {
            let Some(found) = key else { return Ok(excerpt) };
            if excerpt.entries.len() < most {
                let values = access.look_up(&found).map_err(failed("reading"))?;
                excerpt.entries.extend(values.map(|values| self.entry(&found, &values, access)));
            } else if let Some(len) = access.array_len {
                excerpt.more = u64::from(len) - most as u64;
                return Ok(excerpt);
            } else {
                excerpt.more += 1;
            }
            key = access.next(Some(&found)).map_err(failed("walking through"))?;
        }
        excerpt.has_even_more = key.is_some();
        Ok(excerpt)
    }

    fn entry(&self, key: &[u8], values: &[u8], access: &MapAccess) -> AnyEntry {
        let copies = values.chunks_exact(values.len() / access.copies);
        let value = |bytes: &[u8]| MapValue::of(&self.definition.value, &bytes[..access.value_bytes]);
        AnyEntry { key: MapValue::of(&self.definition.key, key), values: copies.map(value).collect() }
    }
}

impl MapAccess {
    /// Nothing where the kind has no entries to be read.
    fn of(data: &MapData, definition: &MapDef) -> Result<Option<Self>, MapFailure> {
        let name = &definition.name;
        if !has_readable_entries(definition.kind) {
            return Ok(None);
        }
        let info = data.info().map_err(|error| MapFailure::of(name, "asking for", None, error))?;
        let map = data.fd().as_fd().try_clone_to_owned();
        let is_array = matches!(definition.kind, MapKind::Array | MapKind::PerCpuArray);
        let copies = if is_per_cpu(definition.kind) { nr_cpus().map_err(|(_, error)| error) } else { Ok(1) };
        Ok(Some(Self {
            map: map.map_err(|error| MapFailure::call(name, "opening", error))?,
            key_bytes: info.key_size() as usize,
            value_bytes: info.value_size() as usize,
            copies: copies.map_err(|error| MapFailure::call(name, "counting the CPUs of", error))?,
            array_len: is_array.then_some(info.max_entries()),
        }))
    }

    fn next(&self, key: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
        let mut next = vec![0; self.key_bytes];
        // SAFETY: keys are of the length that the kernel says.
        match unsafe { sys::next_key(self.map.as_fd(), key, &mut next) } {
            Ok(()) => Ok(Some(next)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The values of all copies, each in a multiple of 8 bytes where there are several.
    fn look_up(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let each = if self.copies == 1 { self.value_bytes } else { self.value_bytes.next_multiple_of(8) };
        // Of one possible CPU, too, the kernel writes whole words.
        let mut values = vec![0; (each * self.copies).next_multiple_of(8)];
        // SAFETY: the key came of the map, and there is room for the values of every possible CPU.
        match unsafe { sys::look_up(self.map.as_fd(), key, &mut values) } {
            Ok(()) => {
                values.truncate(each * self.copies);
                Ok(Some(values))
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_per_cpu(kind: MapKind) -> bool {
    matches!(kind, MapKind::PerCpuHash | MapKind::PerCpuArray | MapKind::LruPerCpuHash)
}

fn has_readable_entries(kind: MapKind) -> bool {
    use MapKind::{Array, Hash, LpmTrie, LruHash};
    is_per_cpu(kind) || matches!(kind, Hash | Array | LruHash | LpmTrie)
}

/// The type of a side that nothing is known of but its size.
pub(crate) fn untyped(bytes: u32) -> Layout {
    match bytes {
        0 => Layout::None,
        1 | 2 | 4 | 8 => Layout::Unsigned(bytes as u8),
        _ => Layout::Array(Box::new(Layout::Unsigned(1)), bytes),
    }
}
