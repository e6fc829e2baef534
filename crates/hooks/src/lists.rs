//! The lists of a guard's program, which may change while it decides.

use std::sync::atomic::{AtomicU64, Ordering};

use aya::Ebpf;
use weir_filters::fun::service::{
    BEFORE_LISTS, LIST_MASKS, LIST_NODES, ListHead, ListLine, ListTrees, has_lists,
};
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
    let ListTrees { trees } = ListTrees::of(service);
    let lines = MapMemory::of(ebpf, LIST_NODES)?;
    let masks = MapMemory::of(ebpf, LIST_MASKS)?;
    let [lines_before, masks_before] = BEFORE_LISTS;
    let (heads, lines) = lines.words().split_at(LINE * lines_before);
    let (searched, masks) = masks.words().split_at(masks_before);
    let room = [lines.len() / LINE / 2, masks.len() / 2];
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
    let half = 1 - (searched[0].load(Ordering::Relaxed) & 1) as usize;
    let head = &heads[half * LINE..][..LINE];
    if head.iter().any(|word| word.load(Ordering::Relaxed) != 0) {
        // A program may still be where it was led to before the last change.
        let waited = sys::wait_for_programs();
        waited.map_err(|error| {
            MapFailure::call(LIST_NODES.name(), "waiting for programs that search", error)
        })?;
    }
    let [mut line, mut mask] = room.map(|room| half * room);
    let mut places: ListHead = [[0; 2]; 2];
    for (tree, place) in trees.iter().zip(&mut places) {
        *place = [((lines_before + line) as u64) << 32 | tree.nodes as u64, (masks_before + mask) as u64];
        store(&lines[LINE * line..], tree.lines.as_flattened());
        store(&masks[mask..], &tree.masks);
        line += tree.lines.len();
        mask += tree.masks.len();
    }
    store(head, places.as_flattened());
    searched[0].store(half as u64, Ordering::Release);
    Ok(())
}

fn store(words: &[AtomicU64], values: &[u64]) {
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
}
