//! Payloads by chance, of what the rules' constants are made of.

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{satisfy::constants, solve::leaves};
use crate::meaning::{Condition, FieldKind, Integer, Service};

/// Pieces that are kept.
const MOST: usize = 4_096;
/// The longest payload by chance that no rule's length asks for.
const LONGEST: usize = 96;

/// What payloads are made of.
pub(super) struct Alphabet {
    pieces: Vec<Vec<u8>>,
    lens: Vec<usize>,
}

impl Alphabet {
    /// The bytes of a service's constants, and those beside them.
    pub(super) fn of(service: &Service) -> Self {
        let messages = service.protocol.messages.iter().map(|message| &message.when);
        let conditions = messages.chain(service.accept.iter().map(|each| &each.when));
        let mut alphabet = Self { pieces: vec![vec![0], vec![1], vec![0xff]], lens: Vec::new() };
        for leaf in conditions.flat_map(leaves) {
            alphabet.take(leaf);
        }
        for field in &service.protocol.fields {
            if let FieldKind::Until { terminator, .. } = field.kind {
                alphabet.pieces.push(vec![terminator]);
            }
            alphabet.take_numbers(&constants(&field.at), true);
        }
        alphabet.pieces.sort_unstable();
        alphabet.pieces.dedup();
        alphabet
    }

    /// A payload, mostly short.
    pub(super) fn payload(&self, rng: &mut StdRng) -> Vec<u8> {
        let len = match self.lens.choose(rng) {
            Some(len) if rng.random_bool(0.5) => len + rng.random_range(0..3),
            _ => rng.random_range(0..LONGEST),
        };
        let mut payload = Vec::with_capacity(len);
        while payload.len() < len {
            self.add_piece(&mut payload, rng);
        }
        payload.truncate(len);
        payload
    }

    /// Changes bytes of a payload, or its length.
    pub(super) fn change(&self, payload: &mut Vec<u8>, rng: &mut StdRng) {
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..payload.len() + 1);
            match rng.random_range(0..5) {
                0 => payload.truncate(at),
                1 => self.add_piece(payload, rng),
                2 if at < payload.len() => payload[at] ^= 1 << rng.random_range(0..8),
                3 if at < payload.len() => _ = payload.remove(at),
                _ => {
                    let mut piece = Vec::new();
                    self.add_piece(&mut piece, rng);
                    let end = payload.len().min(at + piece.len());
                    payload[at..end].copy_from_slice(&piece[..end - at]);
                }
            }
        }
    }

    fn add_piece(&self, payload: &mut Vec<u8>, rng: &mut StdRng) {
        match self.pieces.choose(rng) {
            Some(piece) if !piece.is_empty() && rng.random_bool(0.9) => payload.extend(piece),
            _ => payload.push(rng.random()),
        }
    }

    fn take(&mut self, leaf: &Condition) {
        match leaf {
            Condition::Compare(_, left, right) => {
                let is_length = [left, right].into_iter().any(|side| *side == Integer::Len);
                for side in [left, right] {
                    self.take_numbers(&constants(side), is_length);
                }
            }
            Condition::Among(integer, ranges) => {
                let ends = ranges.iter().flat_map(|range| [*range.start(), *range.end()]);
                let ends: Vec<u64> = ends.take(MOST).chain(constants(integer)).collect();
                self.take_numbers(&ends, *integer == Integer::Len);
            }
            Condition::Text { texts, .. } | Condition::Name { names: texts, .. } => {
                let room = MOST.saturating_sub(self.pieces.len());
                self.pieces.extend(texts.iter().take(room).cloned());
            }
            Condition::All(_) | Condition::Any(_) | Condition::Not(_) => {}
        }
    }

    /// Numbers as bytes in either order, and as lengths where they are some.
    fn take_numbers(&mut self, numbers: &[u64], are_lengths: bool) {
        for number in numbers {
            if are_lengths && *number < 1_500 && self.lens.len() < MOST {
                self.lens.push((*number as usize).saturating_sub(1));
            }
            if self.pieces.len() < MOST {
                let bytes = number.to_be_bytes();
                let width = [1, 2, 4].into_iter().find(|width| *number >> (8 * width) == 0).unwrap_or(8);
                let bytes = &bytes[8 - width..];
                self.pieces.extend([bytes.to_vec(), bytes.iter().rev().copied().collect()]);
            }
        }
    }
}
