//! Filters with a memory: their maps, and handing them on to the filter that takes over.

use std::{
    collections::HashSet,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use aya::maps::MapData;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use weir_asm::maps::{Hash, LpmPrefix, LpmTrie, MapShape, MapSpec};
use weir_filters::{
    Blocklist, Effective, Filter, FilterName, Quota, Site, Toolkit,
    maps::{BLOCKLIST, KEYS, QUOTA, SOURCES},
};
use zerocopy::IntoBytes as _;

use crate::{
    HookError, KernelFilter, Map, features,
    maps::{self, Copies, Update},
    objects, sys,
};

/// The maps that a filter keeps when it is replaced, by whose they are.
const KEPT: [(FilterName, &str); 4] = [
    (FilterName::KnownKey, KEYS.name()),
    (FilterName::Quota, QUOTA.name()),
    (FilterName::Quota, SOURCES.name()),
    (FilterName::Blocklist, BLOCKLIST.name()),
];

impl KernelFilter {
    /// Loads a filter to take over from this one: of the maps of guards and of known keys, those that both have are one and
    /// the same. The site is this one's.
    ///
    /// Needs what [`KernelFilter::load`] needs and CAP_SYS_ADMIN, for a bpffs that is mounted nowhere (Linux 5.2), where
    /// maps have a name for as long as this takes.
    pub fn load_successor(&self, filter: Filter, toolkit: Toolkit) -> Result<Self, HookError> {
        let site: &Site = self.site();
        let is_in_both = |name| filter.has(name) && self.has(name);
        let kept: Vec<_> =
            KEPT.into_iter().filter(|(name, _)| is_in_both(*name)).map(|(_, map)| map).collect();
        if kept.is_empty() || toolkit == Toolkit::Cbpf {
            return Self::load(filter, toolkit, site);
        }
        let site = &features::fit(site, filter);
        let object = objects::of(filter, toolkit, site)?;
        let nowhere = nowhere()
            .map_err(|error| self.sharing(format!("a bpffs: {error}; needs root, or CAP_SYS_ADMIN")))?;
        let mut places = Vec::new();
        for name in kept {
            let place = PathBuf::from(format!("/proc/self/fd/{}/{name}", nowhere.as_raw_fd()));
            let map = self.data_of(name);
            map.pin(&place).map_err(|error| self.sharing(format!("naming the map {name}: {error}")))?;
            places.push((name, place));
        }
        Ok(Self::load_object(filter, object, true, site, &places)?.written_with(toolkit))
    }

    fn has(&self, name: FilterName) -> bool {
        self.filter.is_some_and(|filter| filter.has(name))
    }

    /// That filter's map.
    fn map_for<S: MapShape>(&self, name: FilterName, spec: MapSpec<S>) -> Result<Map<S>, HookError>
    where
        S::Copies: Copies<S::Key, S::Value>,
    {
        if self.has(name) {
            return self.map(spec);
        }
        Err(self
            .other("opening a map", format!("{name} isn't in the chain, and `{}` is its map", spec.name())))
    }

    /// A map that it is known to have.
    fn data_of(&self, name: &str) -> &MapData {
        let map = self.ebpf().and_then(|ebpf| ebpf.map(name));
        map.and_then(maps::data_of).expect("the caller found it, and it has keys")
    }

    fn sharing(&self, reason: String) -> HookError {
        self.other("handing the maps on of", reason)
    }

    /// How many packets a source may send, from the next packet on: every source begins anew, since what it owes by the
    /// old quota means nothing by the new one.
    ///
    /// # Errors
    /// The filter has no quota, or what the kernel says.
    pub fn set_quota(&self, quota: Quota) -> Result<(), HookError> {
        self.write_quota(quota)?;
        let mut sources = self.map_for(FilterName::Quota, SOURCES)?;
        let known: Vec<_> = sources.iter().collect::<Result<_, _>>()?;
        for (source, _) in known {
            sources.delete(source)?;
        }
        Ok(())
    }

    fn write_quota(&self, quota: Quota) -> Result<(), HookError> {
        let ns = [quota.interval(), quota.tolerance()].map(|time| time.as_nanos() as u64);
        Ok(self.map_for(FilterName::Quota, QUOTA)?.update(0, ns, Update::Any)?)
    }

    /// The keys that `known-key` lets GET and DELETE through for.
    ///
    /// # Errors
    /// The filter has none.
    pub fn key_map(&self) -> Result<Map<Hash<u32, u8>>, HookError> {
        self.map_for(FilterName::KnownKey, KEYS)
    }

    /// Has the program block what the list blocks, and nothing else. No source is free meanwhile that was blocked before
    /// and is blocked behind it.
    ///
    /// # Errors
    /// The filter has no blocklist, or the map is full ([`weir_filters::BLOCKED_PREFIXES`]): then some of the list is in
    /// it.
    pub fn set_blocklist(&self, list: &Blocklist) -> Result<(), HookError> {
        let mut map: Map<LpmTrie<16, u64>> = self.map_for(FilterName::Blocklist, BLOCKLIST)?;
        let wanted: Vec<_> = list.effective().collect();
        let keys: HashSet<_> = wanted.iter().map(|(bits, data, _)| LpmPrefix::new(*bits, *data)).collect();
        let over = map.fold(Vec::new(), |mut over, prefix, _| {
            if !keys.contains(&prefix) {
                over.push(prefix);
            }
            over
        })?;
        self.block(&wanted)?;
        for prefix in over {
            map.delete(prefix)?;
        }
        Ok(())
    }

    /// Has the program block prefixes up to their effective ends, whether it did before or not; in batches where the kernel's
    /// tries have them (`BPF_MAP_UPDATE_BATCH`, Linux 5.13).
    ///
    /// # Errors
    /// The filter has no blocklist, or the map is full ([`weir_filters::BLOCKED_PREFIXES`]): then some of them are in it.
    pub fn block(&self, prefixes: &[Effective]) -> Result<(), HookError> {
        let mut map: Map<LpmTrie<16, u64>> = self.map_for(FilterName::Blocklist, BLOCKLIST)?;
        let data = self.data_of(BLOCKLIST.name());
        for batch in prefixes.chunks(BATCH) {
            let keys: Vec<_> = batch.iter().map(|(bits, data, _)| LpmPrefix::new(*bits, *data)).collect();
            let values: Vec<_> = batch.iter().map(|(_, _, until)| until.value()).collect();
            // One by one they say what is wrong with which.
            if sys::update_batch(data.fd().as_fd(), keys.as_bytes(), values.as_bytes(), batch.len()).is_err()
            {
                for (key, value) in keys.into_iter().zip(values) {
                    map.update(key, value, Update::Any)?;
                }
            }
        }
        Ok(())
    }

    /// Has the program block prefixes no more, where it did.
    ///
    /// # Errors
    /// The filter has no blocklist.
    pub fn unblock(&self, prefixes: impl IntoIterator<Item = (u32, [u8; 16])>) -> Result<(), HookError> {
        let mut map: Map<LpmTrie<16, u64>> = self.map_for(FilterName::Blocklist, BLOCKLIST)?;
        for (bits, data) in prefixes {
            map.delete(LpmPrefix::new(bits, data))?;
        }
        Ok(())
    }

    /// Sets what of the filter's parameters is in maps.
    pub(crate) fn set_parameters(&self, filter: Filter) -> Result<(), HookError> {
        if filter.has_changeable_parameter() {
            self.parameter_map()?.set(filter.parameter)?;
        }
        if filter.has(FilterName::Quota) {
            self.write_quota(filter.quota)?;
        }
        Ok(())
    }
}

/// Prefixes that are given to the kernel at once.
const BATCH: usize = 4096;

/// A bpffs that is mounted nowhere: it is gone with the descriptor, whatever ends the process.
fn nowhere() -> rustix::io::Result<OwnedFd> {
    let context = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}
