//! Keeps the keys that a filter knows in step with the bag.

use std::sync::{Arc, Mutex, PoisonError};

use weir_asm::maps::Hash;
use weir_filters::Reference;
use weir_hooks::{
    Map,
    maps::{MapFailure, Update},
};

use crate::shards::{Shards, Turn};

/// A program's keys.
pub(super) type KeyMap = Map<Hash<u32, u8>>;

/// The map, and whether its trouble was told; all workers have the same.
#[derive(Clone)]
pub(super) struct Knowledge(Arc<Mutex<Told>>);

struct Told {
    map: KeyMap,
    complained: bool,
}

/// Follows the bag: after [`Self::settle`], every key that the bag holds is known.
///
/// The other way round need not be so. A program learns the key of each PUT that it lets through, the server may never
/// see that PUT, or see it later; what is known and not in the bag costs a GET that nobody answers.
#[derive(Default)]
pub(crate) struct KnownKeys {
    /// A program's keys that are kept in step; what the bag held before is the caller's to put there.
    pub(super) knowledge: Option<Knowledge>,
    /// Keys whose presence may have changed: they came, went, or were refused.
    pub(super) touched: Vec<u32>,
}

/// How often room is made for one key: a program may fill it again meanwhile.
const TRIES: usize = 4;

impl Knowledge {
    pub(super) fn new(map: KeyMap) -> Self {
        Self(Arc::new(Mutex::new(Told { map, complained: false })))
    }
}

impl std::fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownKeys").field("touched", &self.touched).finish_non_exhaustive()
    }
}

impl KnownKeys {
    /// Brings map and reference in step with the bag, each key once, whatever happened to it in between.
    pub(super) fn settle(&mut self, shards: &Shards, reference: Option<&mut Reference>) {
        if self.touched.is_empty() {
            return;
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        if let Some(reference) = reference {
            let mut turn = shards.turn();
            for &key in &self.touched {
                let is_present = turn.part_of(key).get(key).is_some();
                if is_present { reference.learn(key) } else { reference.forget(key) }
            }
        }
        let Some(Knowledge(told)) = &self.knowledge else { return self.touched.clear() };
        let told = &mut *told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        // What failed stays, for the next time.
        self.touched.retain(|&key| {
            let settled = settle(&mut told.map, shards, key);
            settled.map_err(|error| failure = Some(error)).is_err()
        });
        match failure {
            Some(error) if !told.complained => {
                told.complained = true;
                eprintln!("weir: {error}; requests for that key are dropped until it is known");
            }
            Some(_) => {}
            None => told.complained = false,
        }
    }
}

fn settle(map: &mut KeyMap, shards: &Shards, key: u32) -> Result<(), MapFailure> {
    let mut tries = 0;
    loop {
        // Its turn at the key's part is over before room is made, which needs them all.
        let done = put_in_step(map, shards.turn(), key);
        match done {
            Err(failure) if failure.is_full() && tries < TRIES => make_room(map, shards)?,
            result => return result,
        }
        tries += 1;
    }
}

/// While the key's part of the bag is locked, so that another worker can't change what is looked at.
fn put_in_step(map: &mut KeyMap, mut turn: Turn<'_>, key: u32) -> Result<(), MapFailure> {
    match turn.part_of(key).get(key) {
        Some(_) => map.update(key, 1, Update::Any),
        None => map.delete(key).map(drop),
    }
}

/// Takes out what the bag doesn't hold.
fn make_room(map: &mut KeyMap, shards: &Shards) -> Result<(), MapFailure> {
    let known = map.fold(Vec::new(), |mut known, key, _| {
        known.push(key);
        known
    })?;
    let mut turn = shards.turn();
    known.into_iter().try_for_each(|key| match turn.part_of(key).get(key) {
        Some(_) => Ok(()),
        None => map.delete(key).map(drop),
    })
}
