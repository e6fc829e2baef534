//! Packets by chance: of what the rules are made of, or of nothing at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{
    Example, Examples, MOST_LEN,
    alphabet::Alphabet,
    sources::{Versions, around, lists, nobodies},
};
use crate::meaning::Service;

/// Packets that are kept to be changed.
const MOST_KEPT: usize = 1 << 14;
/// Payloads that grow by changes are cut there.
const MOST_CHANGED_LEN: usize = 3_000;

/// Packets by chance without end, mostly of bytes that the rules ask for.
pub struct Chance {
    rng: StdRng,
    alphabet: Alphabet,
    kept: Vec<Example>,
    sources: Vec<IpAddr>,
}

impl Chance {
    /// Of a service's constants, and of changes to its examples and to packets that somebody captured.
    pub fn of(service: &Service, examples: &Examples, captured: &[Example], seed: u64) -> Self {
        let versions = Versions::of(service);
        let mut sources: Vec<IpAddr> = lists(service).flat_map(around).collect();
        sources.retain(|source| versions.have(*source));
        sources.extend(nobodies(service).iter().map(SocketAddr::ip));
        let step = examples.count().div_ceil(MOST_KEPT).max(1);
        let mut kept: Vec<Example> = examples.batches.iter().flatten().step_by(step).cloned().collect();
        kept.extend(captured.iter().take(MOST_KEPT).cloned());
        Self { rng: StdRng::seed_from_u64(seed), alphabet: Alphabet::of(service), kept, sources }
    }
}

impl Iterator for Chance {
    type Item = Example;

    fn next(&mut self) -> Option<Example> {
        let Self { rng, alphabet, kept, sources } = self;
        let address = *sources.choose(rng)?;
        let source = SocketAddr::new(address, rng.random_range(1..=u16::MAX));
        let (source, mut payload) = match kept.choose(rng) {
            Some(example) if rng.random_bool(0.7) => {
                let source = if rng.random_bool(0.7) { example.source } else { source };
                let mut payload = example.payload.clone();
                if payload.len() <= MOST_CHANGED_LEN {
                    alphabet.change(&mut payload, rng);
                    payload.truncate(MOST_CHANGED_LEN);
                }
                (source, payload)
            }
            _ => (source, alphabet.payload(rng)),
        };
        payload.truncate(MOST_LEN);
        let behind = if rng.random_bool(0.2) { alphabet.payload(rng) } else { Vec::new() };
        Some(Example { source, payload, behind })
    }
}

/// Packets by chance that know nothing of the rules but lengths that payloads may have: bytes of which each is as likely as the other, from
/// anywhere. Without a length they are empty.
pub fn uniform(service: &Service, lens: Vec<usize>, seed: u64) -> impl Iterator<Item = Example> + use<> {
    let versions = Versions::of(service);
    let mut rng = StdRng::seed_from_u64(seed);
    std::iter::repeat_with(move || {
        let mut payload = vec![0; lens.choose(&mut rng).copied().unwrap_or(0)];
        payload.fill_with(|| rng.random());
        let (v4, v6) = (Ipv4Addr::from(rng.random::<u32>()), Ipv6Addr::from(rng.random::<u128>()));
        let addresses = [IpAddr::V4(v4), IpAddr::V6(v6)];
        let fit = addresses.into_iter().filter(|address| versions.have(*address)).collect::<Vec<_>>();
        let address = fit.choose(&mut rng).copied().unwrap_or(addresses[0]);
        Example { source: SocketAddr::new(address, rng.random()), payload, behind: Vec::new() }
    })
}
