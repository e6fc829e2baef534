//! What a program sends through a ring buffer.

use std::os::fd::{AsFd, BorrowedFd};

use aya::{Ebpf, maps::RingBuf};
use weir_asm::maps::{self, MapSpec, MapType};

use super::{MapFailure, data};

/// The reading end of a ring buffer: there is one. Its descriptor is readable when a record waits (epoll, poll).
pub struct Records<V> {
    spec: MapSpec<maps::RingBuf<V>>,
    ring: RingBuf<aya::maps::MapData>,
}

impl<V: MapType> Records<V> {
    /// Takes the ring buffer of that name out of a loaded object.
    ///
    /// # Errors
    /// The object has no such map, it is of another kind, or somebody took it.
    pub(crate) fn of(ebpf: &mut Ebpf, spec: MapSpec<maps::RingBuf<V>>) -> Result<Self, MapFailure> {
        data(ebpf, &spec)?;
        let map = ebpf.take_map(spec.name());
        let map = map.ok_or_else(|| MapFailure::open(spec.name(), "it was taken".to_owned()))?;
        let ring = RingBuf::try_from(map);
        let ring = ring.map_err(|error| MapFailure::of(spec.name(), "opening", None, error))?;
        Ok(Self { spec, ring })
    }

    /// Takes the oldest record out, or nothing where none waits.
    ///
    /// # Errors
    /// The program sent something of another length; it is out, and the next call goes on behind it.
    pub fn take(&mut self) -> Result<Option<V>, MapFailure> {
        let Some(record) = self.ring.next() else { return Ok(None) };
        let value = V::read_from_bytes(&record).map_err(|_| {
            let reason = format!("a record of {} bytes; declared are {}", record.len(), size_of::<V>());
            MapFailure::entry(self.spec.name(), "reading a record of", reason)
        });
        value.map(Some)
    }
}

impl<V> AsFd for Records<V> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
