//! Frames for a server: honest ones with each change, with several, cut anywhere, and around every request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::{RngExt as _, rngs::StdRng, seq::IteratorRandom as _};
use weir_wire::{headers::ipv6, udp};

use super::{
    Case,
    changes::{self, Change},
    requests::{self, Recipe},
    shape::Shape,
};
use crate::{GsoView, Layer, Site};

/// What makes frames for one site.
pub(super) struct Frames {
    layer: Layer,
    /// An honest packet to the server, or to nobody, of each IP version.
    bases: [Shape; 2],
    /// What can be changed about each.
    changes: [Vec<Change>; 2],
    payloads: Vec<Vec<u8>>,
}

/// What a filter that reads requests drops, so that being found or not is seen in the verdict.
const INVALID: &[u8] = b"BAD\x01\x02\x03\x04";

impl Frames {
    pub(super) fn new(site: &Site) -> Self {
        let endpoint = site.endpoint;
        let v4 = match endpoint.address {
            IpAddr::V4(address) if !address.is_unspecified() => address,
            _ => Ipv4Addr::new(10, 1, 2, 3),
        };
        let v6 = match endpoint.address {
            IpAddr::V6(address) if !address.is_unspecified() => address,
            _ => Ipv6Addr::new(0xfd00, 1, 2, 3, 4, 5, 6, 7),
        };
        let bases = [(super::FROM_V4, v4.into()), (super::FROM_V6, v6.into())]
            .map(|(source, destination)| Shape::new(source, destination, endpoint.port, INVALID));
        let with_segments = site.hook.gso() == GsoView::Told;
        let changes = [0, 1].map(|version| changes::all(&endpoint, &bases[version], with_segments));
        Self { layer: site.hook.layer(), bases, changes, payloads: changes::payloads() }
    }

    /// One change each, each payload, each cut: what every run has.
    pub(super) fn boundaries(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (base, changes) in self.bases.iter().zip(&self.changes) {
            for payload in &self.payloads {
                cases.push(Shape { payload: payload.clone(), ..base.clone() });
            }
            cases.extend(changes.iter().map(|change| changed(base, &[change])));
            for change in changes.iter().filter(|change| is_worth_cutting(change)) {
                let whole = changed(base, &[change]);
                let len = whole.case(self.layer).seen.len();
                cases.extend((1..len).map(|keep| Shape { keep: Some(keep), ..whole.clone() }));
            }
        }
        cases.iter().map(|shape| shape.case(self.layer)).collect()
    }

    /// A request in an honest packet of either IP version.
    pub(super) fn around(&self, recipe: Recipe, rng: &mut StdRng) -> Case {
        let packet = recipe.packet();
        let [high, low] = [packet[udp::LENGTH_OFFSET], packet[udp::LENGTH_OFFSET + 1]];
        let said = u16::from_be_bytes([high, low]);
        let payload = packet[udp::PAYLOAD_OFFSET..].to_vec();
        let base = self.bases[rng.random_range(0..2)].clone();
        let source = changes::sources(base.source).choose(rng).unwrap_or(base.source);
        Shape { source, payload, udp_length: super::shape::LengthField::Is(said), ..base }.case(self.layer)
    }

    /// Up to three changes at once, around any payload.
    pub(super) fn combined(&self, rng: &mut StdRng) -> Case {
        let version = rng.random_range(0..2);
        let mut shape = self.bases[version].clone();
        shape.source = changes::sources(shape.source).choose(rng).unwrap_or(shape.source);
        for _ in 0..rng.random_range(0..4) {
            self.changes[version][rng.random_range(0..self.changes[version].len())].make(&mut shape);
        }
        match rng.random_range(0..3) {
            0 => shape.payload = requests::request_like(rng).split_off(udp::PAYLOAD_OFFSET),
            1 => shape.payload.clone_from(&self.payloads[rng.random_range(0..self.payloads.len())]),
            _ => {}
        }
        shape.case(self.layer)
    }
}

fn changed(base: &Shape, changes: &[&Change]) -> Shape {
    let mut shape = base.clone();
    for change in changes {
        change.make(&mut shape);
    }
    shape
}

/// A few frames of every structure are cut at each byte: an honest one, tagged ones, ones with options, ones with
/// extension headers of each kind.
fn is_worth_cutting(change: &Change) -> bool {
    match change {
        Change::SourcePort(_) | Change::Options(2) | Change::Padding(46) => true,
        Change::Tags(tags) => tags.len() < 3,
        Change::Extensions(chain) => {
            let is_short = chain.iter().all(|extension| extension.bytes.len() < ipv6::HEADER_LEN);
            chain.len() == 2
                && is_short
                && chain[0].kind == ipv6::DESTINATION_OPTIONS
                && chain[1].kind != ipv6::ROUTING
        }
        _ => false,
    }
}
