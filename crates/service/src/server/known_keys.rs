//! Keeps the keys that a filter knows in step with the bag.

use weir_asm::maps::Hash;
use weir_filters::Reference;
use weir_hooks::{
    Map,
    maps::{MapFailure, Update},
};

use crate::Bag;

/// A program's keys.
pub(super) type KeyMap = Map<Hash<u32, u8>>;

/// Follows the bag: after [`Self::settle`], every key that the bag holds is known.
///
/// The other way round need not be so. A program learns the key of each PUT that it lets through, the server may never
/// see that PUT, or see it later; what is known and not in the bag costs a GET that nobody answers.
#[derive(Default)]
pub(crate) struct KnownKeys {
    map: Option<KeyMap>,
    /// Keys whose presence may have changed.
    touched: Vec<u32>,
    complained: bool,
}

/// How often room is made for one key: a program may fill it again meanwhile.
const TRIES: usize = 4;

impl std::fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownKeys").field("touched", &self.touched).finish_non_exhaustive()
    }
}

impl KnownKeys {
    /// Keeps that map in step from now on; what the bag holds already is the caller's to put there.
    pub(super) fn follow(&mut self, map: Option<KeyMap>) {
        self.map = map;
    }

    /// Whether a program's keys are kept in step.
    pub(super) const fn is_followed(&self) -> bool {
        self.map.is_some()
    }

    /// The key came, went, or was refused.
    pub(super) fn touch(&mut self, key: u32) {
        self.touched.push(key);
    }

    /// Brings map and reference in step with the bag, each key once, whatever happened to it in between.
    pub(super) fn settle(&mut self, bag: &Bag, reference: Option<&mut Reference>) {
        if self.touched.is_empty() {
            return;
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        if let Some(reference) = reference {
            for &key in &self.touched {
                if bag.get(key).is_some() { reference.learn(key) } else { reference.forget(key) }
            }
        }
        let Some(map) = &mut self.map else { return self.touched.clear() };
        let mut failure = None;
        // What failed stays, for the next time.
        self.touched.retain(|&key| {
            let settled = settle(map, bag, key);
            settled.map_err(|error| failure = Some(error)).is_err()
        });
        match failure {
            Some(error) if !self.complained => {
                self.complained = true;
                eprintln!("weir: {error}; requests for that key are dropped until it is known");
            }
            Some(_) => {}
            None => self.complained = false,
        }
    }
}

fn settle(map: &mut KeyMap, bag: &Bag, key: u32) -> Result<(), MapFailure> {
    if bag.get(key).is_none() {
        return map.delete(key).map(drop);
    }
    let mut tries = 0;
    loop {
        match map.update(key, 1, Update::Any) {
            Err(failure) if failure.is_full() && tries < TRIES => make_room(map, bag)?,
            result => return result,
        }
        tries += 1;
    }
}

/// Takes out what the bag doesn't hold.
fn make_room(map: &mut KeyMap, bag: &Bag) -> Result<(), MapFailure> {
    let strangers = map.fold(Vec::new(), |mut strangers, key, _| {
        if bag.get(key).is_none() {
            strangers.push(key);
        }
        strangers
    })?;
    strangers.into_iter().try_for_each(|key| map.delete(key).map(drop))
}
