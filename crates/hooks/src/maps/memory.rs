//! The entries of an array in this process's memory.

use std::{
    num::NonZeroUsize,
    os::fd::AsFd as _,
    ptr::{self, NonNull},
    slice,
    sync::atomic::AtomicU64,
};

use aya::Ebpf;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use weir_asm::maps::{MapSpec, MapType, MappedArray};

use super::{MapFailure, data};

/// The words of an array whose entries are words, which programs read and write meanwhile (`BPF_F_MMAPABLE`, Linux 5.5).
pub(crate) struct MapMemory {
    words: NonNull<AtomicU64>,
    count: NonZeroUsize,
}

impl MapMemory {
    /// Of the map of that name in a loaded object.
    pub(crate) fn of<V: MapType>(ebpf: &Ebpf, spec: MapSpec<MappedArray<V>>) -> Result<Self, MapFailure> {
        const { assert!(size_of::<V>().is_multiple_of(size_of::<u64>()), "its entries are words") };
        let data = data(ebpf, &spec)?;
        let info = data.info().map_err(|error| MapFailure::of(spec.name(), "asking for", None, error))?;
        let count = NonZeroUsize::new(size_of::<V>() / size_of::<u64>() * info.max_entries() as usize);
        let count = count.ok_or_else(|| MapFailure::open(spec.name(), "it has no entries".to_owned()))?;
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let len = count.get() * size_of::<u64>();
        // SAFETY: the kernel chooses where it lies.
        let memory = unsafe { mmap(ptr::null_mut(), len, access, flags, data.fd().as_fd(), 0) };
        let memory = memory.map_err(|error| MapFailure::call(spec.name(), "mapping", error.into()))?;
        let words = NonNull::new(memory.cast()).expect("nothing is mapped at 0 unless it is asked for");
        Ok(Self { words, count })
    }

    /// All of them, one entry behind the other.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: so many words are mapped as long as this lives; pages have their alignment, and any bits are a value.
        unsafe { slice::from_raw_parts(self.words.as_ptr(), self.count.get()) }
    }
}

impl Drop for MapMemory {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and no reference outlives it.
        let done = unsafe { munmap(self.words.as_ptr().cast(), self.count.get() * size_of::<u64>()) };
        debug_assert!(done.is_ok(), "what was mapped can be unmapped: {done:?}");
    }
}
