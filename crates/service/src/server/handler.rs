//! What becomes of one datagram: the same for every way of reading it.

use std::net::SocketAddr;

use weir_filters::{Filter, Packet, Verdict};
use weir_wire::{MAX_REQUEST_LEN, Request};

use super::{AllowStop, ServerConfig, verbose};
use crate::{Bag, RequestCounts, bag::PutError};

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A PUT, served.
    Put,
    /// A GET, and the count to reply with where the key is present.
    Get(Option<i64>),
    /// A DELETE, served.
    Delete,
    /// A STOP to be obeyed.
    Stop,
    /// A STOP that the policy forbids.
    StopRefused,
    /// No request.
    Invalid,
    /// Dropped by the filter.
    Filtered,
    /// A PUT that the bag refused.
    Refused(PutError),
}

/// The bag, the rules that requests are held to, and the counts of what came.
pub(super) struct Handler {
    bag: Bag,
    filter: Option<Filter>,
    allow_stop: AllowStop,
    verbose: bool,
    pub(super) requests: RequestCounts,
    /// Payload bytes.
    pub(super) bytes: u64,
}

impl Handler {
    pub(super) fn new(bag: Bag, config: &ServerConfig) -> Self {
        Self {
            bag,
            filter: config.filter,
            allow_stop: config.allow_stop,
            verbose: config.verbose,
            requests: RequestCounts::default(),
            bytes: 0,
        }
    }

    /// Handles a datagram of `len` bytes of which `at_hand` are the first. `source` is asked only when it matters.
    pub(super) fn handle(&mut self, at_hand: &[u8], len: usize, source: impl Fn() -> SocketAddr) -> Outcome {
        let outcome = self.decide(at_hand, len, &source);
        self.bytes += len as u64;
        self.count(outcome);
        if self.verbose {
            verbose::print(source(), at_hand, len, outcome);
        }
        outcome
    }

    fn decide(&mut self, at_hand: &[u8], len: usize, source: impl Fn() -> SocketAddr) -> Outcome {
        if let Some(filter) = &self.filter
            && filter.decide(Packet::from_datagram(at_hand, len)) == Verdict::Drop
        {
            return Outcome::Filtered;
        }
        match parse(at_hand, len) {
            Some(Request::Put { key, value }) => {
                self.bag.put(key, value).map_or_else(Outcome::Refused, |()| Outcome::Put)
            }
            Some(Request::Get { key }) => Outcome::Get(self.bag.get(key)),
            Some(Request::Delete { key }) => {
                self.bag.delete(key);
                Outcome::Delete
            }
            Some(Request::Stop) if self.allow_stop.allows(source().ip()) => Outcome::Stop,
            Some(Request::Stop) => Outcome::StopRefused,
            None => Outcome::Invalid,
        }
    }

    fn count(&mut self, outcome: Outcome) {
        let counts = &mut self.requests;
        *match outcome {
            Outcome::Put => &mut counts.put,
            Outcome::Get(_) => &mut counts.get,
            Outcome::Delete => &mut counts.delete,
            Outcome::Stop => &mut counts.stop,
            Outcome::StopRefused => &mut counts.stop_refused,
            Outcome::Invalid => &mut counts.invalid,
            Outcome::Filtered => &mut counts.filtered,
            Outcome::Refused(PutError::Full) => &mut counts.refused.capacity,
            Outcome::Refused(PutError::Overflow) => &mut counts.refused.overflow,
        } += 1;
    }
}

/// The request that a datagram of `len` bytes is; none when it is longer than the bytes that were kept of it.
pub(super) fn parse(at_hand: &[u8], len: usize) -> Option<Request> {
    if len > MAX_REQUEST_LEN { None } else { Request::parse(&at_hand[..len]).ok() }
}
