//! Maps as constants: name, kind, key and value types stand in one place, from which the program's reference and the
//! handle in user space follow.
//!
//! ```
//! use weir_asm::{Code, MapKind, Reg::*, maps::{Hash, MapSpec}, op::*};
//!
//! /// Calls by process.
//! const CALLS: MapSpec<Hash<u32, u64>> = MapSpec::new("calls", 1024);
//!
//! let mut code = Code::new();
//! let calls = CALLS.reference(&mut code);
//! code += lmap(R1, calls);
//! assert_eq!(CALLS.definition().kind, MapKind::Hash);
//! assert_eq!(CALLS.definition().value.size(), 8);
//! ```

use std::{fmt::Debug, marker::PhantomData};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Code, Layout, MapDef, MapKind, MapName};

/// A type that keys or values may have: every bit pattern of its size is a value, and none of its bytes is padding.
pub trait MapType: FromBytes + IntoBytes + Immutable + Copy + Debug + 'static {
    /// What BTF says of it; as large as the type.
    fn layout() -> Layout;
}

macro_rules! integers {
    ($layout:ident: $($integer:ty),*) => { $(
        impl MapType for $integer {
            fn layout() -> Layout {
                Layout::$layout(size_of::<Self>() as u8)
            }
        }
    )* };
}

integers!(Unsigned: u8, u16, u32, u64);
integers!(Signed: i8, i16, i32, i64);

impl<T: MapType, const N: usize> MapType for [T; N] {
    fn layout() -> Layout {
        Layout::Array(Box::new(T::layout()), N as u32)
    }
}

impl MapType for () {
    fn layout() -> Layout {
        Layout::None
    }
}

/// A kind of map with its types.
pub trait MapShape: Copy + Debug + 'static {
    /// The kind.
    const KIND: MapKind;
    /// Flags of BPF_MAP_CREATE.
    const FLAGS: u32 = 0;
    /// Type of the keys.
    type Key: MapType;
    /// Type of the values, on each CPU where it is per CPU.
    type Value: MapType;
    /// How many values a key has: [`Shared`], [`PerCpu`] or, where there are no keys, [`Stream`].
    type Copies;
}

/// One value for a key.
#[derive(Clone, Copy, Debug)]
pub struct Shared;

/// A value on each CPU for a key: a program sees its own CPU's.
#[derive(Clone, Copy, Debug)]
pub struct PerCpu;

/// No keys: records, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Stream;

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident<$($parameter:ident),+>:
        $kind:ident, flags $flags:expr, $key:ty => $value:ty, $copies:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<$($parameter),+>(PhantomData<($($parameter,)+)>);

        impl<$($parameter: MapType),+> MapShape for $name<$($parameter),+> {
            const KIND: MapKind = MapKind::$kind;
            const FLAGS: u32 = $flags;
            type Key = $key;
            type Value = $value;
            type Copies = $copies;
        }
    )* };
}

shapes! {
    /// Any keys (Linux 3.19).
    Hash<K, V>: Hash, flags 0, K => V, Shared;
    /// Keys from 0 up to the number of entries, which all exist and hold zeros at first (Linux 3.19).
    Array<V>: Array, flags 0, u32 => V, Shared;
    /// Any keys, a value on each CPU (Linux 4.6).
    PerCpuHash<K, V>: PerCpuHash, flags 0, K => V, PerCpu;
    /// An array with a value on each CPU (Linux 4.6).
    PerCpuArray<V>: PerCpuArray, flags 0, u32 => V, PerCpu;
    /// Any keys; when it is full, those used longest ago make room (Linux 4.10).
    LruHash<K, V>: LruHash, flags 0, K => V, Shared;
    /// The same with a value on each CPU (Linux 4.10).
    LruPerCpuHash<K, V>: LruPerCpuHash, flags 0, K => V, PerCpu;
    /// An array that user space has in its memory too (Linux 5.5).
    MappedArray<V>: Array, flags BPF_F_MMAPABLE, u32 => V, Shared;
    /// Records of one type from the kernel to user space; its size is in bytes, a power of two and whole pages
    /// (Linux 5.8).
    RingBuf<V>: RingBuf, flags 0, () => V, Stream;
}

/// Sockets that share a port, by index: what `sk_select_reuseport` picks from (Linux 4.19). Giving an index a value wants a
/// socket's descriptor; the socket leaves the map when it is closed.
#[derive(Clone, Copy, Debug)]
pub struct ReuseportSockArray;

impl MapShape for ReuseportSockArray {
    const KIND: MapKind = MapKind::ReuseportSockArray;
    type Key = u32;
    type Value = u32;
    type Copies = Shared;
}

/// Prefixes of `N` bytes, found by the longest that matches (Linux 4.11).
#[derive(Clone, Copy, Debug)]
pub struct LpmTrie<const N: usize, V>(PhantomData<V>);

impl<const N: usize, V: MapType> MapShape for LpmTrie<N, V> {
    const KIND: MapKind = MapKind::LpmTrie;
    const FLAGS: u32 = BPF_F_NO_PREALLOC;
    type Key = LpmPrefix<N>;
    type Value = V;
    type Copies = Shared;
}

/// What the kernel wants of a trie (include/uapi/linux/bpf.h).
const BPF_F_NO_PREALLOC: u32 = 1;

/// What mmap(2) wants of a map (include/uapi/linux/bpf.h).
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// The first `bits` bits of `data`, whose first byte is the most significant: the order of addresses on the wire
/// (`struct bpf_lpm_trie_key`, include/uapi/linux/bpf.h). `N` is a multiple of 4, as C lays it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable)]
#[repr(C, packed)]
pub struct LpmPrefix<const N: usize> {
    bits: u32,
    data: [u8; N],
}

impl<const N: usize> LpmPrefix<N> {
    const IS_LAID_OUT_AS_IN_C: () = assert!(N.is_multiple_of(4), "a prefix's data has a multiple of 4 bytes");

    /// The prefix of that many bits.
    pub const fn new(bits: u32, data: [u8; N]) -> Self {
        const { Self::IS_LAID_OUT_AS_IN_C };
        Self { bits, data }
    }

    /// All bits of `data`: what is looked up.
    pub const fn whole(data: [u8; N]) -> Self {
        Self::new(8 * N as u32, data)
    }

    /// How many bits count.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The bytes that they are in.
    pub const fn data(self) -> [u8; N] {
        self.data
    }
}

impl<const N: usize> MapType for LpmPrefix<N> {
    fn layout() -> Layout {
        let fields = [("prefixlen", u32::layout()), ("data", <[u8; N]>::layout())];
        let fields = fields.map(|(name, layout)| (name.to_owned(), layout)).to_vec();
        Layout::Struct(format!("prefix_of_{N}"), fields)
    }
}

/// A map that programs and user space share.
#[derive(Clone, Copy, Debug)]
pub struct MapSpec<S> {
    name: &'static str,
    max_entries: u32,
    shape: PhantomData<S>,
}

impl<S: MapShape> MapSpec<S> {
    /// A map of at most `max_entries` entries; of a ring buffer that is its size in bytes.
    pub const fn new(name: &'static str, max_entries: u32) -> Self {
        Self { name, max_entries, shape: PhantomData }
    }

    /// Its name in the object.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Most entries that it holds; of a ring buffer its size in bytes.
    pub const fn max_entries(&self) -> u32 {
        self.max_entries
    }

    /// What goes into an object.
    pub fn definition(&self) -> MapDef {
        MapDef {
            name: self.name.to_owned(),
            kind: S::KIND,
            key: S::Key::layout(),
            value: if S::KIND == MapKind::RingBuf { Layout::None } else { S::Value::layout() },
            max_entries: self.max_entries,
            flags: S::FLAGS,
        }
    }

    /// The map as a program refers to it, for [`crate::op::lmap`].
    pub fn reference(&self, code: &mut Code) -> MapName {
        code.map(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<S: MapShape>() {
        let definition = MapSpec::<S>::new("m", 1).definition();
        assert_eq!(definition.key.size(), size_of::<S::Key>(), "{definition:?}");
        if S::KIND != MapKind::RingBuf {
            assert_eq!(definition.value.size(), size_of::<S::Value>(), "{definition:?}");
        }
    }

    #[test]
    fn layouts_are_as_large_as_their_types() {
        check::<Hash<u32, u64>>();
        check::<Array<[u16; 3]>>();
        check::<MappedArray<[u64; 24]>>();
        check::<PerCpuHash<[u8; 6], i32>>();
        check::<PerCpuArray<[u64; 2]>>();
        check::<LruHash<u64, u8>>();
        check::<LruPerCpuHash<u64, u8>>();
        check::<LpmTrie<4, u32>>();
        check::<LpmTrie<16, u64>>();
        check::<RingBuf<u64>>();
    }
}
