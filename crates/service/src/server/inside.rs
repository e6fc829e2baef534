//! What of a server may be changed while it serves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_filters::Reference;

use super::{handler::Handler, known_keys::KeyMap};

/// A server's bag and rules. Each change happens between two batches of datagrams.
#[derive(Clone, Debug)]
pub struct Inside {
    handler: Arc<Mutex<Handler>>,
}

impl Inside {
    pub(super) const fn new(handler: Arc<Mutex<Handler>>) -> Self {
        Self { handler }
    }

    /// Keeps a program's keys in step with the bag from now on, and gives the keys that the bag holds at this moment,
    /// for the caller to put into the map.
    pub fn follow(&self, map: Option<KeyMap>) -> Vec<u32> {
        let mut handler = self.lock();
        handler.known_keys.follow(map);
        handler.bag.keys().collect()
    }

    /// Does something between two batches, with the keys that the bag holds; no datagram is handled meanwhile.
    pub fn between_batches<T>(&self, task: impl FnOnce(&[u32]) -> T) -> T {
        let handler = self.lock();
        let keys: Vec<_> = handler.bag.keys().collect();
        task(&keys)
    }

    /// Changes the reference that decides in the loop, or puts it there; nothing where no filter decides there.
    pub fn with_reference<T>(&self, change: impl FnOnce(&mut Reference) -> T) -> Option<T> {
        self.lock().reference.as_mut().map(change)
    }

    /// Puts another reference in the place of the one that decides in the loop; it knows the bag's keys.
    pub fn replace_reference(&self, mut reference: Reference) {
        let mut handler = self.lock();
        for key in handler.bag.keys() {
            reference.learn(key);
        }
        handler.reference = Some(reference);
    }

    /// Datagrams that the filter in the loop has let through and dropped.
    pub fn filtered(&self) -> [u64; 2] {
        let requests = self.lock().requests;
        [requests.total() - requests.filtered, requests.filtered]
    }

    fn lock(&self) -> MutexGuard<'_, Handler> {
        self.handler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
