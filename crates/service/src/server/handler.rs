//! What becomes of one datagram: the same for every way of reading it.

use std::net::SocketAddr;

use weir_filters::{FilterName, Packet, Reference, Verdict};
use weir_wire::Request;

use super::{
    AllowStop, ServerConfig,
    handled::{Handled, parse},
    known_keys::KnownKeys,
    verbose,
};
use crate::{
    RequestCounts,
    bag::{Bag, PutError},
    monotonic_now,
    shards::{Shards, Turn},
};

/// The rules that requests are held to, and the counts of what came.
#[derive(Debug)]
pub(super) struct Handler {
    /// Decides each datagram before it is parsed.
    pub(super) reference: Option<Reference>,
    /// What keeps a program's keys in step with the bag.
    pub(super) known_keys: KnownKeys,
    allow_stop: AllowStop,
    verbose: bool,
    pub(super) requests: RequestCounts,
    /// Payload bytes.
    pub(super) bytes: u64,
}

impl Handler {
    pub(super) fn new(config: &ServerConfig) -> Self {
        Self {
            reference: config.filter.map(Reference::new),
            known_keys: KnownKeys::default(),
            allow_stop: config.allow_stop,
            verbose: config.verbose,
            requests: RequestCounts::default(),
            bytes: 0,
        }
    }

    /// Handles a datagram of `len` bytes of which `at_hand` are the first. `source` is asked only when it matters.
    pub(super) fn handle(
        &mut self,
        bag: &mut Turn<'_>,
        at_hand: &[u8],
        len: usize,
        source: impl Fn() -> SocketAddr,
    ) -> Handled {
        let outcome = self.decide(bag, at_hand, len, &source);
        self.bytes += len as u64;
        self.count(outcome);
        if self.verbose {
            verbose::print(source(), at_hand, len, outcome);
        }
        outcome
    }

    fn decide(
        &mut self,
        bag: &mut Turn<'_>,
        at_hand: &[u8],
        len: usize,
        source: impl Fn() -> SocketAddr,
    ) -> Handled {
        if self.filters_out(Packet::from_datagram(at_hand, len), &source) {
            return Handled::Filtered;
        }
        match parse(at_hand, len) {
            Some(Request::Put { key, value }) => self.put(bag.part_of(key), key, value),
            Some(Request::Get { key }) => Handled::Get(bag.part_of(key).get(key)),
            Some(Request::Delete { key }) => {
                bag.part_of(key).delete(key);
                self.touch(key);
                Handled::Delete
            }
            Some(Request::Stop) if self.allow_stop.allows(source().ip()) => Handled::Stop,
            Some(Request::Stop) => Handled::StopRefused,
            None => Handled::Invalid,
        }
    }

    fn filters_out(&mut self, packet: Packet<'_>, source: impl Fn() -> SocketAddr) -> bool {
        let Some(reference) = &mut self.reference else { return false };
        let verdict = if reference.filter.is_dynamic() {
            reference.decide(packet, Some(source().ip()), monotonic_now())
        } else {
            reference.filter.decide(packet)
        };
        verdict == Verdict::Drop
    }

    /// A program that let the PUT through knows its key already: a key that the bag refused must be told too.
    fn put(&mut self, bag: &mut Bag, key: u32, value: i64) -> Handled {
        let keys = bag.len();
        let put = bag.put(key, value);
        if bag.len() != keys || put.is_err() {
            self.touch(key);
        }
        put.map_or_else(Handled::Refused, |()| Handled::Put)
    }

    /// The key came, went or was refused, which matters where somebody knows keys.
    fn touch(&mut self, key: u32) {
        let in_loop =
            self.reference.as_ref().is_some_and(|reference| reference.filter.has(FilterName::KnownKey));
        if in_loop || self.known_keys.knowledge.is_some() {
            self.known_keys.touched.push(key);
        }
    }

    /// Brings what knows the bag's keys in step with it.
    pub(super) fn settle(&mut self, shards: &Shards) {
        self.known_keys.settle(shards, self.reference.as_mut());
    }

    fn count(&mut self, outcome: Handled) {
        let counts = &mut self.requests;
        *match outcome {
            Handled::Put => &mut counts.put,
            Handled::Get(_) => &mut counts.get,
            Handled::Delete => &mut counts.delete,
            Handled::Stop => &mut counts.stop,
            Handled::StopRefused => &mut counts.stop_refused,
            Handled::Invalid => &mut counts.invalid,
            Handled::Filtered => &mut counts.filtered,
            Handled::Refused(PutError::Full) => &mut counts.refused.capacity,
            Handled::Refused(PutError::Overflow) => &mut counts.refused.overflow,
        } += 1;
    }
}
