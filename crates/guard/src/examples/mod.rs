//! Packets made from a service's rules, to try programs on: every message by construction, and what lies on either side of
//! everything that rules ask.
//!
//! All are the same for the same seed.

mod alphabet;
mod draft;
mod encoding;
mod messages;
mod random;
mod satisfy;
mod solve;
mod sources;
#[cfg(test)]
mod tests;
mod vary;

use std::{collections::HashSet, net::SocketAddr};

pub use random::{Chance, uniform};

use crate::meaning::{MessageId, Packet, Service};

/// The longest payload of a UDP packet over IPv4.
const MOST_LEN: usize = 65_507;
/// Packets of a batch. What a service remembers of sources, it remembers within one.
pub const BATCH: usize = 4_096;
/// Packets that are made from rules, at most.
const MOST: usize = 1 << 17;
/// Bytes of these packets, at most.
const MOST_BYTES: usize = 64 << 20;

/// A packet for a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Example {
    /// Who sends it.
    pub source: SocketAddr,
    /// The payload.
    pub payload: Vec<u8>,
    /// Bytes behind the payload's end by UDP's length field, which are in the frame and none of the payload.
    pub behind: Vec<u8>,
}

impl Example {
    /// As rules see it.
    pub fn packet(&self) -> Packet<'_> {
        Packet::whole(self.source, &self.payload)
    }
}

/// Packets made from a service's rules.
#[derive(Clone, Debug)]
pub struct Examples {
    /// In batches, each of which begins with nothing remembered.
    pub batches: Vec<Vec<Example>>,
    /// The messages of which no packet was found.
    pub missing: Vec<MessageId>,
}

impl Examples {
    /// Those of a service: its messages and what is beside them, sources around its prefixes, and for each limit a batch of
    /// packets that reach it.
    pub fn of(service: &Service, seed: u64) -> Self {
        let made = messages::made(service, seed);
        let mut batches: Vec<Vec<Example>> = made.packets.chunks(BATCH).map(<[_]>::to_vec).collect();
        batches.extend(made.limits);
        Self { batches, missing: made.missing }
    }

    /// How many packets there are.
    pub fn count(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }
}

/// Packets, each once, up to a number and a size.
#[derive(Default)]
struct Collected {
    packets: Vec<Example>,
    seen: HashSet<Example>,
    bytes: usize,
    /// How many there may be.
    room: usize,
}

impl Collected {
    fn is_full(&self) -> bool {
        self.packets.len() >= self.room || self.bytes >= MOST_BYTES
    }

    fn push(&mut self, source: SocketAddr, payload: &[u8], behind: &[u8]) {
        let example = Example { source, payload: payload.to_vec(), behind: behind.to_vec() };
        if !self.is_full() && self.seen.insert(example.clone()) {
            self.bytes += payload.len() + behind.len();
            self.packets.push(example);
        }
    }
}
