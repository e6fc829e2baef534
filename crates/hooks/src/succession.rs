//! What the program of a guard hands on to the one that takes over from it.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
    sync::Arc,
};

use aya::maps::MapData;

use weir_asm::maps::{MapShape, MapSpec};
use weir_filters::fun::service::{BUCKETS, DECISIONS, KNOWING, KNOWN, SHARED_BUCKETS};
use weir_guard::meaning::{Decision, LimitId, Service};
use weir_records::monotonic_now;

use crate::{
    Attached, HookError, KernelFilter, Map, PinError, Pins,
    guard::decided,
    maps::{Copies, MapFailure, Update, data_of},
    sys,
};

/// A key of [`BUCKETS`] and of [`KNOWN`]: its first four bytes are the limit's number.
type Key = [u8; 32];

/// What was handed on so far of the sources that a program remembers, so that what has changed can be handed on afterwards.
#[derive(Default)]
pub struct HandedOn {
    known: HashMap<Key, u64>,
    buckets: HashMap<Key, u64>,
    shared: HashMap<u32, u64>,
    /// Whether the one that takes over may have written something itself.
    is_later: bool,
}

/// What of a map is handed on.
#[derive(Clone, Copy)]
struct Changes<'a> {
    before: &'a Remembered,
    /// As [`HandedOn::is_later`].
    is_later: bool,
    /// The last moment that any entry may have, nanoseconds of `CLOCK_MONOTONIC`.
    latest: u64,
}

/// The maps of what a guard's program remembers.
const REMEMBERED: [&str; 4] = [DECISIONS.name(), BUCKETS.name(), SHARED_BUCKETS.name(), KNOWN.name()];

/// What a guard's program remembers, whether the program is there still or not.
pub struct Remembered {
    service: Arc<Service>,
    maps: HashMap<&'static str, MapData>,
}

impl Remembered {
    /// What is kept in that folder of a program of that service.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn kept_in(folder: &Path, service: &Arc<Service>) -> Result<Self, HookError> {
        let mut maps = HashMap::new();
        for name in REMEMBERED {
            match sys::open_pin(&folder.join(name)) {
                Ok(map) => {
                    maps.insert(name, MapData::from_fd(map).map_err(|error| unopened(name, &error))?);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unopened(name, &error)),
            }
        }
        Ok(Self { service: Arc::clone(service), maps })
    }

    /// Gives the maps names in that folder, by which they live on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep_in(&self, folder: &Path) -> Result<(), PinError> {
        for (name, map) in &self.maps {
            let path = folder.join(name);
            sys::pin(map.fd().as_fd(), &path).map_err(PinError::of("naming", &path))?;
        }
        Ok(())
    }

    /// The service whose program it was.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// As [`KernelFilter::all_decisions`].
    ///
    /// # Errors
    /// Those.
    pub fn decisions(&self) -> Result<Vec<(Decision, u64)>, HookError> {
        self.map(DECISIONS)?.map_or_else(|| Ok(Vec::new()), |map| decided(&self.service, &map))
    }

    fn map<S: MapShape>(&self, spec: MapSpec<S>) -> Result<Option<Map<S>>, MapFailure>
    where
        S::Copies: Copies<S::Key, S::Value>,
    {
        self.maps.get(spec.name()).map(|data| Map::of_data(data, spec)).transpose()
    }
}

fn unopened(name: &str, error: &dyn std::fmt::Display) -> HookError {
    MapFailure::open(name, error.to_string()).into()
}

impl KernelFilter {
    /// Has what it is attached to by links be kept there, and takes the links that are there already.
    #[must_use]
    pub fn kept_in(self, pins: Option<Arc<Pins>>) -> Self {
        Self { pins, ..self }
    }

    /// What a guard's program remembers.
    ///
    /// # Errors
    /// It is no guard's; or what the kernel says.
    pub fn remembered(&self) -> Result<Remembered, HookError> {
        let (Some(service), Some(ebpf)) = (&self.service, self.ebpf()) else {
            return Err(self.other("opening its maps", "it is no guard's program".to_owned()));
        };
        let mut maps = HashMap::new();
        for name in REMEMBERED {
            let Some(data) = ebpf.map(name).and_then(data_of) else { continue };
            let map = data.fd().as_fd().try_clone_to_owned().map_err(|error| unopened(name, &error))?;
            maps.insert(name, MapData::from_fd(map).map_err(|error| unopened(name, &error))?);
        }
        Ok(Remembered { service: Arc::clone(service), maps })
    }

    /// Gives this guard's program what the one before remembers of sources and hasn't handed on yet: those that are known, where they have
    /// proved the same to both, for no longer than this one knows sources; and the buckets of limits that take over from its limits. Called once before it takes over,
    /// and once afterwards, nothing is forgotten but tokens that a source spends between the two.
    ///
    /// # Errors
    /// What the kernel says. Sources that find no room are left out.
    pub fn take_over_from(&self, before: &Remembered, handed_on: &mut HandedOn) -> Result<(), HookError> {
        let (Some(service), other) = (&self.service, &before.service) else { return Ok(()) };
        let limit = |number: u32| {
            service.limit_successor(LimitId(number as usize), other).map(|LimitId(limit)| limit as u32)
        };
        let of_bucket = |mut key: Key| {
            let number = u32::from_ne_bytes(key[..4].try_into().expect("it has 32 bytes"));
            key[..4].copy_from_slice(&limit(number)?.to_ne_bytes());
            Some(key)
        };
        let is_later = std::mem::replace(&mut handed_on.is_later, true);
        let changes = Changes { before, is_later, latest: u64::MAX };
        self.take_over(changes, BUCKETS, &mut handed_on.buckets, of_bucket)?;
        self.take_over(changes, SHARED_BUCKETS, &mut handed_on.shared, limit)?;
        if let Some(known) = service.known.as_ref().filter(|_| service.knows_whom(other)) {
            let lasting = u64::try_from(known.lasting.as_nanos()).unwrap_or(u64::MAX);
            let latest = monotonic_now().ns.saturating_add(lasting);
            self.take_over(Changes { latest, ..changes }, KNOWN, &mut handed_on.known, Some)?;
        }
        Ok(())
    }

    /// Of a map that both have, what has changed since: moments, of which the later one holds.
    fn take_over<S: MapShape<Value = u64>>(
        &self,
        Changes { before, is_later, latest }: Changes<'_>,
        spec: MapSpec<S>,
        handed_on: &mut HashMap<S::Key, u64>,
        successor: impl Fn(S::Key) -> Option<S::Key>,
    ) -> Result<(), HookError>
    where
        S::Key: std::hash::Hash + Eq + Copy,
        S::Copies: Copies<S::Key, u64, Entry = u64>,
    {
        let Some(theirs) = before.map(spec)?.filter(|_| self.has_map(spec.name())) else { return Ok(()) };
        let mut ours = self.map(spec)?;
        for entry in theirs.iter() {
            let (key, moment) = entry?;
            if handed_on.insert(key, moment) == Some(moment) {
                continue;
            }
            let Some(key) = successor(key) else { continue };
            let moment = moment.min(latest);
            if !is_later || ours.get(key)?.is_none_or(|own| own < moment) {
                put(&mut ours, key, moment)?;
            }
        }
        Ok(())
    }

    fn has_map(&self, name: &str) -> bool {
        self.ebpf().is_some_and(|ebpf| ebpf.map(name).is_some())
    }

    /// The program that sees what the service sends, where there is one.
    pub(crate) fn knowing(&self) -> Result<Option<BorrowedFd<'_>>, HookError> {
        let program = self.ebpf().and_then(|ebpf| ebpf.program(KNOWING));
        let fd = program.map(|program| program.fd().map_err(|error| self.program_error("attaching", error)));
        Ok(fd.transpose()?.map(|fd| fd.as_fd()))
    }

    /// Whether it has a program that is to be attached where it sees what the service sends.
    pub fn is_knowing(&self) -> bool {
        self.ebpf().is_some_and(|ebpf| ebpf.program(KNOWING).is_some())
    }
}

impl Attached {
    /// Puts the program of `filter` that sees what the service sends in the place of another one.
    ///
    /// # Errors
    /// It has none; or what the kernel says.
    pub fn replace_knowing(&self, filter: &KernelFilter) -> Result<(), HookError> {
        let program = filter.knowing()?;
        let program = program
            .ok_or_else(|| filter.other("replacing", "it sees nothing that the service sends".to_owned()))?;
        self.put(filter, program)
    }
}

fn put<S: MapShape>(
    map: &mut Map<S>,
    key: S::Key,
    value: <S::Copies as Copies<S::Key, S::Value>>::Entry,
) -> Result<(), MapFailure>
where
    S::Copies: Copies<S::Key, S::Value>,
{
    match map.update(key, value, Update::Any) {
        Err(failure) if failure.is_full() => Ok(()),
        done => done,
    }
}
