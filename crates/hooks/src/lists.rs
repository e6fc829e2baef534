//! The lists of a guard's program, which may change while it decides.

use std::sync::atomic::{AtomicU64, Ordering};

use aya::Ebpf;
use weir_filters::fun::service::{BEFORE_LISTS, LIST_MASKS, LIST_NODES, ListLine, ListTrees, has_lists};
use weir_guard::meaning::Service;

use crate::{
    AnyProgram, HookError, KernelFilter,
    maps::{MapFailure, MapMemory},
    sys,
};

/// Words of a line.
const LINE: usize = size_of::<ListLine>() / size_of::<u64>();

impl AnyProgram {
    /// Has a guard's program search the service's lists as they are now: each packet meets all of the lists of before or all of these.
    /// The rules of the service are those that the program was made of.
    ///
    /// # Errors
    /// They have outgrown the map, or the program was made when all of them were empty: it has to be made anew.
    pub fn set_lists(&mut self, service: &Service) -> Result<(), HookError> {
        Ok(set(self.ebpf(), service)?)
    }
}

impl KernelFilter {
    /// Has a guard's program search the service's lists, as [`AnyProgram::set_lists`] says.
    ///
    /// # Errors
    /// Those of [`AnyProgram::set_lists`].
    pub fn set_lists(&mut self, service: &Service) -> Result<(), HookError> {
        match self.ebpf() {
            Some(ebpf) => Ok(set(ebpf, service)?),
            None => Err(self.other("writing the lists", "it has no maps".to_owned())),
        }
    }
}

fn set(ebpf: &Ebpf, service: &Service) -> Result<(), MapFailure> {
    if ebpf.map(LIST_NODES.name()).is_none() && !has_lists(service) {
        return Ok(());
    }
    let lists = ListTrees::of(service);
    let trees = &lists.trees;
    let lines = MapMemory::of(ebpf, LIST_NODES)?;
    let masks = MapMemory::of(ebpf, LIST_MASKS)?;
    let (lines, masks) = (lines.words(), masks.words());
    let room = [(lines.len() / LINE - BEFORE_LISTS[0]) / 2, (masks.len() - BEFORE_LISTS[1]) / 2];
    for (map, needed, room) in [
        (LIST_NODES.name(), trees.iter().map(|tree| tree.lines.len()).sum::<usize>(), room[0]),
        (LIST_MASKS.name(), trees.iter().map(|tree| tree.masks.len()).sum(), room[1]),
    ] {
        if needed > room {
            let reason = format!(
                "the lists want {needed} entries, and there are {room} for them; load the guard anew"
            );
            return Err(MapFailure::entry(map, "filling", reason));
        }
    }
    let half = 1 - (masks[0].load(Ordering::Relaxed) & 1) as usize;
    let head = &lines[half * LINE..][..LINE];
    if head.iter().any(|word| word.load(Ordering::Relaxed) != 0) {
        // A program may still be where it was led to before the last change.
        let waited = sys::wait_for_programs();
        waited.map_err(|error| {
            MapFailure::call(LIST_NODES.name(), "waiting for programs that search", error)
        })?;
    }
    let places = lists.placed(half, room);
    for (tree, [line, mask]) in trees.iter().zip(places) {
        store(&lines[LINE * (line >> 32) as usize..], tree.lines.as_flattened());
        store(&masks[mask as usize..], &tree.masks);
    }
    store(head, places.as_flattened());
    masks[0].store(half as u64, Ordering::Release);
    Ok(())
}

fn store(words: &[AtomicU64], values: &[u64]) {
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
}
