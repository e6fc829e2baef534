//! Packets to compare implementations on: every case that a program could get wrong, then random ones without end.
//!
//! All are the same for the same seed.

mod capture;
mod changes;
mod frames;
mod mutate;
mod requests;
mod shape;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

pub use capture::Captured;
pub use requests::{MAX_SWEPT_PAYLOAD, keys, packet, packets, swept};

use crate::{Layer, Site};
use frames::Frames;
use mutate::mutate;
use requests::Recipe;

/// Where honest frames come from.
const FROM_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 8, 7));
const FROM_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 9, 8, 7, 6, 5, 4, 3));

/// Where other frames come from: neighbours in ever larger prefixes, and an IPv6 source that holds an IPv4 one.
pub const SOURCES: [IpAddr; 12] = [
    FROM_V4,
    IpAddr::V4(Ipv4Addr::new(10, 9, 8, 6)),
    IpAddr::V4(Ipv4Addr::new(10, 9, 9, 7)),
    IpAddr::V4(Ipv4Addr::new(10, 137, 8, 7)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    FROM_V6,
    IpAddr::V6(Ipv6Addr::new(0xfd00, 9, 8, 7, 6, 5, 4, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 9, 8, 7, 0x8006, 5, 4, 3)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3)),
    IpAddr::V6(Ipv4Addr::new(10, 9, 8, 7).to_ipv6_mapped()),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// What a program is given once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The bytes that it sees, from its hook's first header on; at least one.
    pub seen: Vec<u8>,
    /// Datagrams that it is; other than 1 at hooks alone that are told of several.
    pub segments: u32,
}

/// Packets for a program at `site`: first every boundary (a few thousand), then without end, in turn, the large
/// exhaustive sets in random order (while they last), changes combined, and damaged packets, `captured` ones among them.
pub fn cases(site: &Site, captured: &[Captured], seed: u64) -> impl Iterator<Item = Case> + use<> {
    let mut source = Source::new(site, captured, seed);
    let first = source.boundaries.clone();
    first.into_iter().chain(std::iter::repeat_with(move || source.next_case()))
}

/// How many packets of [`cases`] are boundaries: fewer packets leave some of them out.
pub fn boundaries(site: &Site, captured: &[Captured]) -> usize {
    Source::new(site, captured, 0).boundaries.len()
}

struct Source {
    rng: StdRng,
    /// None where the first header is UDP's.
    frames: Option<Frames>,
    boundaries: Vec<Case>,
    captured: Vec<Case>,
    exhaustive: Vec<Recipe>,
    turn: usize,
}

impl Source {
    fn new(site: &Site, captured: &[Captured], seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let frames = (site.hook.layer() != Layer::Udp).then(|| Frames::new(site));
        let captured: Vec<_> = captured.iter().flat_map(|frame| frame.cases(site)).collect();
        let mut boundaries = match &frames {
            None => {
                let requests = Recipe::boundaries().map(Recipe::packet);
                requests.chain(requests::truncated_headers()).map(Case::of_one).collect()
            }
            Some(frames) => frames.boundaries(),
        };
        boundaries.extend(captured.iter().cloned());
        let mut exhaustive: Vec<_> = Recipe::short().chain(Recipe::swept()).collect();
        exhaustive.shuffle(&mut rng);
        // One byte of a word is what filters mistake most easily: those come soonest.
        exhaustive.extend(Recipe::near());
        Self { rng, frames, boundaries, captured, exhaustive, turn: 0 }
    }

    fn next_case(&mut self) -> Case {
        self.turn = (self.turn + 1) % 4;
        match self.turn {
            0 | 2 => match self.exhaustive.pop() {
                Some(recipe) => self.around(recipe),
                None => self.damaged(),
            },
            1 => self.random(),
            _ => self.damaged(),
        }
    }

    fn around(&mut self, recipe: Recipe) -> Case {
        match &self.frames {
            None => Case::of_one(recipe.packet()),
            Some(frames) => frames.around(recipe, &mut self.rng),
        }
    }

    fn random(&mut self) -> Case {
        const ONE_IN: u32 = 16;
        if self.rng.random_ratio(1, ONE_IN) {
            return Case::of_one(requests::random_bytes(&mut self.rng));
        }
        match &self.frames {
            None => Case::of_one(requests::request_like(&mut self.rng)),
            Some(frames) => frames.combined(&mut self.rng),
        }
    }

    fn damaged(&mut self) -> Case {
        let is_captured = !self.captured.is_empty() && self.rng.random();
        let sources = if is_captured { &self.captured } else { &self.boundaries };
        let mut case = sources[self.rng.random_range(0..sources.len())].clone();
        mutate(&mut self.rng, &mut case.seen);
        case
    }
}

impl Case {
    /// A packet that is one datagram.
    pub fn of_one(seen: Vec<u8>) -> Self {
        Self { seen, segments: 1 }
    }
}
