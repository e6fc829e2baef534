//! The bag: counts by key, with a bound on the number of keys.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use thiserror::Error;

/// Counts by key.
///
/// The keys come from whoever can send a datagram, so the map keeps the standard library's keyed hasher: with a
/// fixed one, chosen keys could all collide. Memory grows with the keys held and never with the requests served.
#[derive(Debug)]
pub(crate) struct Bag {
    counts: HashMap<u32, i64>,
    room: Arc<Room>,
}

/// How many more keys there may be, in all bags that share it.
#[derive(Debug)]
pub(crate) struct Room(AtomicUsize);

impl Room {
    pub(crate) const fn new(keys: usize) -> Self {
        Self(AtomicUsize::new(keys))
    }

    /// Takes the room of a key, where there is one.
    fn take(&self) -> Result<(), PutError> {
        // The number alone is shared: each bag has its own lock.
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map(drop).map_err(|_| PutError::Full)
    }

    fn give_back(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a PUT was refused. The bag is as it was before.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum PutError {
    /// The key is new and the bag holds as many keys as it may.
    #[error("the bag is full")]
    Full,
    /// The sum does not fit an `i64`.
    #[error("the count would overflow")]
    Overflow,
}

impl Bag {
    /// An empty bag that shares its room with others. Memory for keys is taken as they come.
    pub(crate) fn within(room: Arc<Room>) -> Self {
        Self { counts: HashMap::new(), room }
    }

    /// Adds `value` to the count of `key`; an absent key starts at 0.
    pub(crate) fn put(&mut self, key: u32, value: i64) -> Result<(), PutError> {
        match self.counts.entry(key) {
            Entry::Occupied(mut count) => {
                let sum = count.get().checked_add(value).ok_or(PutError::Overflow)?;
                count.insert(sum);
            }
            Entry::Vacant(slot) => {
                self.room.take()?;
                slot.insert(value);
            }
        }
        Ok(())
    }

    /// How many keys it holds.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// The keys that it holds, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u32> {
        self.counts.keys().copied()
    }

    /// The count of `key`, or nothing when it is absent.
    pub(crate) fn get(&self, key: u32) -> Option<i64> {
        self.counts.get(&key).copied()
    }

    /// Removes `key`, and says whether it was present.
    pub(crate) fn delete(&mut self, key: u32) -> bool {
        let was_present = self.counts.remove(&key).is_some();
        if was_present {
            self.room.give_back();
        }
        was_present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bag(capacity: usize) -> Bag {
        Bag::within(Arc::new(Room::new(capacity)))
    }

    #[test]
    fn a_key_counts_what_was_put() {
        let mut bag = bag(10);
        for value in [2, 4, 6, -5] {
            assert_eq!(bag.put(10, value), Ok(()));
        }
        assert_eq!(bag.get(10), Some(7));
        assert_eq!(bag.get(11), None);
    }

    #[test]
    fn a_deleted_key_is_absent_and_starts_anew() {
        let mut bag = bag(1);
        bag.put(1, 5).unwrap();
        assert!(bag.delete(1));
        assert!(!bag.delete(1));
        assert_eq!(bag.get(1), None);
        bag.put(1, 3).unwrap();
        assert_eq!(bag.get(1), Some(3));
    }

    #[test]
    fn a_full_bag_refuses_new_keys_and_serves_present_ones() {
        let mut bag = bag(2);
        assert_eq!(bag.put(1, 1), Ok(()));
        assert_eq!(bag.put(2, 1), Ok(()));
        assert_eq!(bag.put(3, 1), Err(PutError::Full));
        assert_eq!(bag.get(3), None);
        assert_eq!(bag.put(2, 1), Ok(()));
        assert_eq!(bag.get(2), Some(2));
        bag.delete(1);
        assert_eq!(bag.put(3, 1), Ok(()));
    }

    #[test]
    fn a_bag_without_room_refuses_every_key() {
        assert_eq!(bag(0).put(1, 1), Err(PutError::Full));
    }

    #[test]
    fn an_overflowing_put_is_refused_and_changes_nothing() {
        let mut bag = bag(2);
        for (key, start, step) in [(1, i64::MAX, 1), (2, i64::MIN, -1)] {
            bag.put(key, start).unwrap();
            assert_eq!(bag.put(key, step), Err(PutError::Overflow));
            assert_eq!(bag.get(key), Some(start));
        }
    }

    #[test]
    fn capacity_costs_nothing_until_it_is_used() {
        assert_eq!(bag(usize::MAX).counts.capacity(), 0);
    }
}
