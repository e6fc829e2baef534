//! What of a server may be changed while it serves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_filters::Reference;

use super::{
    handler::Handler,
    known_keys::{KeyMap, Knowledge},
};
use crate::shards::Shards;

/// A server's bag and rules. Each change happens between two batches of datagrams, of every worker.
#[derive(Clone, Debug)]
pub struct Inside {
    pub(super) handlers: Vec<Arc<Mutex<Handler>>>,
    pub(super) shards: Arc<Shards>,
}

impl Inside {
    /// Keeps a program's keys in step with the bag from now on, and gives the keys that the bag holds at this moment,
    /// for the caller to put into the map.
    pub fn follow(&self, map: Option<KeyMap>) -> Vec<u32> {
        let knowledge = map.map(Knowledge::new);
        let mut handlers = self.lock();
        for handler in &mut handlers {
            handler.known_keys.knowledge = knowledge.clone();
        }
        self.shards.keys()
    }

    /// Does something between two batches, with the keys that the bag holds; no datagram is handled meanwhile.
    pub fn between_batches<T>(&self, task: impl FnOnce(&[u32]) -> T) -> T {
        let _handlers = self.lock();
        task(&self.shards.keys())
    }

    /// Changes the reference that decides in the loop, each worker's; nothing where no filter decides there.
    pub fn with_reference(&self, mut change: impl FnMut(&mut Reference)) {
        for handler in &mut self.lock() {
            handler.reference.as_mut().map(&mut change);
        }
    }

    /// Puts another reference in the place of the one that decides in the loop; it knows the bag's keys.
    pub fn replace_reference(&self, mut reference: Reference) {
        let mut handlers = self.lock();
        for key in self.shards.keys() {
            reference.learn(key);
        }
        for handler in &mut handlers {
            handler.reference = Some(reference.clone());
        }
    }

    /// Datagrams that the filter in the loop has let through and dropped.
    pub fn filtered(&self) -> [u64; 2] {
        self.lock().iter().fold([0, 0], |[accepted, dropped], handler| {
            let requests = handler.requests;
            [accepted + requests.total() - requests.filtered, dropped + requests.filtered]
        })
    }

    /// No datagram is handled while it is held.
    fn lock(&self) -> Vec<MutexGuard<'_, Handler>> {
        self.handlers.iter().map(|handler| handler.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}
