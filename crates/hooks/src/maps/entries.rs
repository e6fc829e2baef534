//! Walking through a map.

use aya::maps::MapError;
use weir_asm::maps::MapShape;

use super::{Copies, Entry, Map, MapFailure, error::is_unfound};

/// Which keys an update is for. A longest-prefix map takes every update for [`Update::Any`] before Linux 6.13, but for stable
/// kernels that have its change (kernel/bpf/lpm_trie.c, trie_update_elem).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Update {
    /// New ones and those that are there (BPF_ANY).
    #[default]
    Any = 0,
    /// New ones only (BPF_NOEXIST): of several who try, one succeeds.
    NoExist = 1,
    /// Those that are there only (BPF_EXIST).
    Exist = 2,
}

/// The entries of a map, in no order.
pub struct Entries<'a, S: MapShape>
where
    S::Copies: Copies<S::Key, S::Value>,
{
    map: &'a Map<S>,
    keys: Box<dyn Iterator<Item = Result<S::Key, MapError>> + 'a>,
    /// The next key, asked for before the last one was given: whoever deletes what he was given disturbs nothing.
    ahead: Option<Result<S::Key, MapError>>,
    left: u64,
}

/// How often a map is walked through at most: the kernel begins anew where the key that it stood at is gone, which
/// somebody who always adds and deletes could keep up for ever.
const WALKS: u64 = 8;

impl<'a, S: MapShape> Entries<'a, S>
where
    S::Copies: Copies<S::Key, S::Value>,
{
    pub(super) fn new(map: &'a Map<S>) -> Self {
        let mut keys = Box::new(S::Copies::keys(&map.handle));
        let ahead = keys.next();
        Self { map, keys, ahead, left: WALKS * u64::from(map.spec.max_entries()) }
    }
}

impl<S: MapShape> Iterator for Entries<'_, S>
where
    S::Copies: Copies<S::Key, S::Value>,
{
    type Item = Result<(S::Key, Entry<S>), MapFailure>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.map.spec.name();
        loop {
            let next = self.ahead.take()?;
            self.ahead = self.keys.next();
            let key = match next {
                Ok(_) if self.left == 0 => return Some(Err(self.give_up())),
                Ok(key) => key,
                Err(error) => return Some(Err(MapFailure::of(name, "walking through", None, error))),
            };
            self.left -= 1;
            match S::Copies::look_up(&self.map.handle, key) {
                Ok(entry) => return Some(Ok((key, entry))),
                Err(error) if is_unfound(&error) => {}
                Err(error) => return Some(Err(self.map.failure("reading", key, error))),
            }
        }
    }
}

impl<S: MapShape> Entries<'_, S>
where
    S::Copies: Copies<S::Key, S::Value>,
{
    fn give_up(&mut self) -> MapFailure {
        self.ahead = None;
        let reason = "its keys change faster than they are read; stop what changes them, or try again";
        MapFailure::entry(self.map.spec.name(), "walking through", reason.to_owned())
    }
}
