//! How the valid and invalid packets of a workload follow each other.

use std::{fmt, iter};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::payload::Payload;
use crate::Mix;

/// Valid and invalid packets in an order: exactly so many of each, whatever the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixed {
    /// The order.
    pub mix: Mix,
    /// Valid packets, each a [`Payload::VALID`].
    pub valid: u64,
    /// Invalid packets.
    pub invalid: u64,
    /// What an invalid packet is.
    pub bad: Payload,
}

impl Mixed {
    /// Packets of both kinds; at most `u64::MAX`, which nobody ever sends.
    pub const fn packets(&self) -> u64 {
        self.valid.saturating_add(self.invalid)
    }

    /// The packets in their order, equal ones that follow each other as one burst, never an empty one. The same seed
    /// gives the same order with every version of weir.
    pub fn bursts(&self, seed: u64) -> impl Iterator<Item = (Payload, u64)> + use<> {
        let bad = self.bad;
        let mut pieces = self.pieces(seed).filter(|&(_, count)| count > 0).peekable();
        iter::from_fn(move || {
            let (is_invalid, mut count) = pieces.next()?;
            while let Some((_, more)) = pieces.next_if(|&(next, _)| next == is_invalid) {
                count += more;
            }
            Some((if is_invalid { bad } else { Payload::VALID }, count))
        })
    }

    /// Packets of a kind, invalid or not, and how many of them go together.
    fn pieces(&self, seed: u64) -> Box<dyn Iterator<Item = (bool, u64)>> {
        let Self { valid, invalid, .. } = *self;
        let packets = self.packets();
        // Packets that are all alike have one order.
        let mix = if valid == 0 || invalid == 0 { Mix::Blocks } else { self.mix };
        if let Some(rounds) = mix.rounds_of(packets) {
            // Valid ones rounded up and invalid ones down, rounds are equally long wherever the number of packets allows it.
            let before =
                move |round: u64| (valid - part(valid, rounds - round, rounds), part(invalid, round, rounds));
            return Box::new((0..rounds).flat_map(move |round| {
                let (from, to) = (before(round), before(round + 1));
                [(false, to.0 - from.0), (true, to.1 - from.1)]
            }));
        }
        if mix == Mix::Even {
            let before = move |packet| part(invalid, packet, packets);
            return one_by_one(packets, move |packet| before(packet + 1) > before(packet));
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut invalid_left = invalid;
        // Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S): one draw a packet, and the
        // numbers come out exact.
        one_by_one(packets, move |packet| {
            let is_invalid = random.random_range(0..packets - packet) < invalid_left;
            invalid_left -= u64::from(is_invalid);
            is_invalid
        })
    }
}

fn one_by_one(
    packets: u64,
    mut is_invalid: impl FnMut(u64) -> bool + 'static,
) -> Box<dyn Iterator<Item = (bool, u64)>> {
    Box::new((0..packets).map(move |packet| (is_invalid(packet), 1)))
}

/// `index` of `of` equal parts of `total`, rounded down: it grows with `index`, from 0 to `total`, by steps that differ by 1
/// at most, and is no more than `total`, as `index` is no more than `of`.
fn part(total: u64, index: u64, of: u64) -> u64 {
    (u128::from(total) * u128::from(index) / u128::from(of)) as u64
}

impl fmt::Display for Mixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mix, valid, invalid, bad } = self;
        write!(f, "{valid} × {} and {invalid} × {bad}, ", Payload::VALID)?;
        match (mix.rounds_of(self.packets()), mix) {
            (Some(1), _) => write!(f, "valid ones first"),
            (Some(rounds), _) => write!(f, "in {rounds} rounds, valid ones first"),
            (None, mix) => write!(f, "{mix}"),
        }
    }
}

#[cfg(test)]
mod tests;
