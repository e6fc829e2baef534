//! Handles on the maps of loaded objects: typed, declared with [`weir_asm::maps`], or as the object's BTF says.

mod any;
mod entries;
mod error;
mod memory;
mod raw;
mod records;
mod value;

use std::os::fd::AsFd as _;

use aya::{
    Ebpf,
    maps::{MapData, MapError},
};
use weir_asm::maps::{MapShape, MapSpec};

pub(crate) use any::untyped;
pub use any::{AnyEntry, AnyMap, Excerpt};
pub use entries::{Entries, Update};
pub use error::MapFailure;
pub(crate) use memory::MapMemory;
pub(crate) use raw::data as data_of;
pub use raw::{Copies, Raw};
pub use records::Records;
pub use value::MapValue;

/// What a key has in a map of this shape: a value, or a `Vec` of one value per possible CPU.
pub type Entry<S> = <<S as MapShape>::Copies as Copies<<S as MapShape>::Key, <S as MapShape>::Value>>::Entry;

type Handle<S> = <<S as MapShape>::Copies as Copies<<S as MapShape>::Key, <S as MapShape>::Value>>::Handle;

/// A handle on a map in the kernel, with the types that it was declared with. It keeps the map alive by itself; there
/// may be several on one map.
pub struct Map<S: MapShape>
where
    S::Copies: Copies<S::Key, S::Value>,
{
    spec: MapSpec<S>,
    handle: Handle<S>,
}

impl<S: MapShape> Map<S>
where
    S::Copies: Copies<S::Key, S::Value>,
{
    /// The map of that name in a loaded object.
    ///
    /// # Errors
    /// The object has no such map, or one of another kind or of other sizes.
    pub(crate) fn of(ebpf: &Ebpf, spec: MapSpec<S>) -> Result<Self, MapFailure> {
        Self::of_data(data(ebpf, &spec)?, spec)
    }

    /// A map of the kernel's.
    ///
    /// # Errors
    /// It is of another kind or of other sizes.
    pub(crate) fn of_data(data: &MapData, spec: MapSpec<S>) -> Result<Self, MapFailure> {
        check(data, &spec)?;
        let info = data.info().map_err(|error| MapFailure::of(spec.name(), "asking for", None, error))?;
        // The loader may have given it another room than it was declared with.
        let spec = MapSpec::new(spec.name(), info.max_entries());
        let descriptor = data.fd().as_fd().try_clone_to_owned();
        let descriptor = descriptor.map_err(|error| MapFailure::open(spec.name(), error.to_string()))?;
        let handle = MapData::from_fd(descriptor).and_then(<S::Copies as Copies<_, _>>::open);
        let handle = handle.map_err(|error| MapFailure::of(spec.name(), "opening", None, error))?;
        Ok(Self { spec, handle })
    }

    /// What the key has, or nothing. A trie finds the longest prefix that matches.
    pub fn get(&self, key: S::Key) -> Result<Option<Entry<S>>, MapFailure> {
        match S::Copies::look_up(&self.handle, key) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if error::is_unfound(&error) => Ok(None),
            Err(error) => Err(self.failure("reading", key, error)),
        }
    }

    /// Gives the key that value; `update` says whether it must be new, or there.
    ///
    /// # Errors
    /// [`MapFailure::is_present`], [`MapFailure::is_absent`] where that is not so, [`MapFailure::is_full`]; per CPU, a
    /// number of values other than that of the possible CPUs. In an array every index is there.
    pub fn update(&mut self, key: S::Key, value: Entry<S>, update: Update) -> Result<(), MapFailure> {
        let updated = S::Copies::update(&mut self.handle, key, value, update as u64);
        updated.map_err(|error| self.failure("updating", key, error))
    }

    /// Takes the key out, and says whether it was there. An array's entries can't be taken out.
    pub fn delete(&mut self, key: S::Key) -> Result<bool, MapFailure> {
        match S::Copies::delete(&mut self.handle, key) {
            Ok(()) => Ok(true),
            Err(error) if error::is_absent(&error) => Ok(false),
            Err(error) => Err(self.failure("deleting", key, error)),
        }
    }

    /// Every key with what it has, in no order. Keys that come or go meanwhile may be left out or come twice; those
    /// that stay come at least once.
    pub fn iter(&self) -> Entries<'_, S> {
        Entries::new(self)
    }

    /// Folds over all entries.
    pub fn fold<A>(&self, first: A, mut fold: impl FnMut(A, S::Key, Entry<S>) -> A) -> Result<A, MapFailure> {
        self.iter().try_fold(first, |so_far, entry| entry.map(|(key, value)| fold(so_far, key, value)))
    }

    /// Its declaration.
    pub fn spec(&self) -> MapSpec<S> {
        self.spec
    }

    fn failure(&self, doing: &'static str, key: S::Key, error: MapError) -> MapFailure {
        MapFailure::of(self.spec.name(), doing, Some(format!("{key:?}")), error)
    }
}

/// The map in the object, if it is of a kind with typed handles.
fn data<'a, S: MapShape>(ebpf: &'a Ebpf, spec: &MapSpec<S>) -> Result<&'a MapData, MapFailure> {
    let map = ebpf.map(spec.name());
    let map = map.ok_or_else(|| {
        MapFailure::open(spec.name(), "its object has no such map, or it was taken".to_owned())
    })?;
    raw::data(map).ok_or_else(|| {
        MapFailure::open(
            spec.name(),
            format!("it is of a kind without typed handles, and not a {:?}", S::KIND),
        )
    })
}

/// Whether a map is of the kind and sizes declared.
fn check<S: MapShape>(data: &MapData, spec: &MapSpec<S>) -> Result<(), MapFailure> {
    let info = data.info().map_err(|error| MapFailure::of(spec.name(), "asking for", None, error))?;
    let definition = spec.definition();
    let found =
        (info.map_type().map(|kind| kind as u32).ok(), info.key_size() as usize, info.value_size() as usize);
    let declared = (Some(S::KIND as u32), definition.key.size(), definition.value.size());
    if found == declared {
        return Ok(());
    }
    let (kind, key, value) = found;
    Err(MapFailure::open(
        spec.name(),
        format!(
            "it is of kind {} with keys of {key} bytes and values of {value}; declared is {:?} ({}), {} and {}",
            kind.map_or("unknown".to_owned(), |kind| kind.to_string()),
            S::KIND,
            S::KIND as u32,
            declared.1,
            declared.2
        ),
    ))
}
