//! The lists of a guard's program, which may change while it decides.

use std::sync::atomic::{AtomicU64, Ordering};

use aya::Ebpf;
use weir_filters::fun::service::{LIST_NODES, LIST_WORDS, ListIndex, ListLine, has_lists};
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
    let lines = MapMemory::of(ebpf, LIST_NODES)?;
    let words = MapMemory::of(ebpf, LIST_WORDS)?;
    let (lines, words) = (lines.words(), words.words());
    let entries = [lines.len() / LINE, words.len()];
    let searched = words[0].load(Ordering::Relaxed);
    let index = ListIndex::of(service, ListIndex::half_beside(searched), entries);
    let maps = [LIST_NODES.name(), LIST_WORDS.name()];
    for ((map, needed), room) in maps.into_iter().zip(index.needed()).zip(ListIndex::room(entries)) {
        if needed > room {
            let reason = format!(
                "the lists want {needed} entries, and there are {room} for them; load the guard anew"
            );
            return Err(MapFailure::entry(map, "filling", reason));
        }
    }
    let [line, word] = index.begins;
    if words[word].load(Ordering::Relaxed) != 0 {
        // A program may still be where it was led to before the last change.
        let waited = sys::wait_for_programs();
        waited.map_err(|error| {
            MapFailure::call(LIST_NODES.name(), "waiting for programs that search", error)
        })?;
    }
    store(&lines[LINE * line..], index.lines.as_flattened());
    store(&words[word..], &index.words);
    words[0].store(index.root(), Ordering::Release);
    Ok(())
}

fn store(words: &[AtomicU64], values: &[u64]) {
    for (word, value) in words.iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
}
