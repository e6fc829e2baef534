//! The bag in parts, so that workers don't wait for each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_wire::worker_of;

use crate::bag::{Bag, Room};

/// A bag in as many parts as there are workers, each behind a lock of its own: a key is in the part of the worker that a
/// program at the shared port picks for it. Any worker may serve any key, since the kernel may hand it any request; it
/// then waits for the one whose part that is.
#[derive(Debug)]
pub(crate) struct Shards {
    parts: Box<[Mutex<Bag>]>,
}

/// One worker's way to the parts. It stays at a part, locked, for as long as the requests are for that one, and holds
/// never more than one: whoever waits for a part holds none.
pub(crate) struct Turn<'a> {
    shards: &'a Shards,
    at: Option<(u32, MutexGuard<'a, Bag>)>,
}

impl Shards {
    /// An empty bag for at most `capacity` keys in all.
    pub(crate) fn new(capacity: usize, workers: usize) -> Self {
        let room = Arc::new(Room::new(capacity));
        Self { parts: (0..workers).map(|_| Mutex::new(Bag::within(Arc::clone(&room)))).collect() }
    }

    /// The way to the parts.
    pub(crate) const fn turn(&self) -> Turn<'_> {
        Turn { shards: self, at: None }
    }

    /// The keys that it holds, in no order.
    pub(crate) fn keys(&self) -> Vec<u32> {
        (0..self.parts.len()).flat_map(|part| self.lock(part as u32).keys().collect::<Vec<_>>()).collect()
    }

    fn lock(&self, part: u32) -> MutexGuard<'_, Bag> {
        self.parts[part as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The part that has that key, if any has. Until the next call nobody else changes it.
    pub(crate) fn part_of(&mut self, key: u32) -> &mut Bag {
        let part = worker_of(key, self.shards.parts.len() as u32);
        if self.at.as_ref().is_none_or(|(at, _)| *at != part) {
            self.at = None;
            self.at = Some((part, self.shards.lock(part)));
        }
        &mut self.at.as_mut().expect("it was just taken").1
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::bag::PutError;

    #[test]
    fn the_parts_share_their_room() {
        let shards = Shards::new(10, 3);
        let mut turn = shards.turn();
        let taken = (0..100).filter(|&key| turn.part_of(key).put(key, 1).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(turn.part_of(99).put(99, 1), Err(PutError::Full));
        assert!(turn.part_of(3).delete(3));
        assert_eq!(turn.part_of(99).put(99, 1), Ok(()));
        drop(turn);
        assert_eq!(shards.keys().len(), 10);
    }

    #[test]
    fn workers_in_each_others_parts_lose_nothing_and_never_wait_for_ever() {
        const ROUNDS: i64 = 2_000;
        let shards = Shards::new(1000, 4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut turn = shards.turn();
                    for round in 0..ROUNDS {
                        turn.part_of(round as u32 % 7).put(round as u32 % 7, 1).expect("there is room");
                    }
                });
            }
        });
        let mut turn = shards.turn();
        let sum: i64 = (0..7).filter_map(|key| turn.part_of(key).get(key)).sum();
        assert_eq!(sum, 4 * ROUNDS);
    }
}
