//! All packets of a service that are made from its rules.

use std::net::SocketAddr;

use rand::{SeedableRng as _, rngs::StdRng};

use super::{
    Collected, Example, MOST,
    solve::{Solution, leaves, solve},
    sources::{self, listed, nobodies, within},
    vary,
};
use crate::meaning::{
    Acceptance, Condition, Decision, FieldId, Limit, Memory, MessageId, Per, Senders, Service,
};

/// Comparisons of a message through which packets are made to go.
const MOST_LEAVES: usize = 256;
/// How often such a packet is tried to be made.
const TRIES: usize = 6;
/// Different packets of a message of which each byte is changed.
const MOST_CHANGED: usize = 6;
/// Bytes of a packet that are changed, and lengths to which it is cut: the first, and the last.
const MOST_PLACES: usize = 320;
/// Packets that a limit is asked for one source, at most.
const MOST_BURST: u32 = 64;

/// What was made.
pub(super) struct Made {
    pub(super) packets: Vec<Example>,
    /// For each limit that a packet can reach.
    pub(super) limits: Vec<Vec<Example>>,
    pub(super) missing: Vec<MessageId>,
}

pub(super) fn made(service: &Service, seed: u64) -> Made {
    let mut maker = Maker {
        service,
        nobodies: nobodies(service),
        rng: StdRng::seed_from_u64(seed),
        collected: Collected::default(),
        welcome: Vec::new(),
    };
    let count = service.protocol.messages.len().max(1);
    let mut missing = Vec::new();
    for id in (0..service.protocol.messages.len()).map(MessageId) {
        // Each has its share, and what those before it left of theirs.
        maker.collected.room = MOST / 8 * 7 * (id.0 + 1) / count;
        if !maker.message(id) {
            missing.push(id);
        }
    }
    maker.collected.room = MOST;
    maker.sources();
    let limits = service.limits.iter().filter_map(|limit| maker.limit(limit)).collect();
    Made { packets: maker.collected.packets, limits, missing }
}

struct Maker<'a> {
    service: &'a Service,
    /// A source of each version that nothing is said of.
    nobodies: Vec<SocketAddr>,
    rng: StdRng,
    collected: Collected,
    /// A packet of each acceptance, which it accepts unless a limit doesn't.
    welcome: Vec<(&'a Acceptance, SocketAddr, Vec<u8>)>,
}

impl<'a> Maker<'a> {
    /// Makes what there is of a message, and says whether any packet is it.
    fn message(&mut self, id: MessageId) -> bool {
        let service = self.service;
        let when = &service.protocol.message(id).when;
        let anyone = self.nobodies.first().copied();
        let mut solutions = self.solutions(id, None, when, anyone);
        for acceptance in service.accept.iter().filter(|each| each.message == id) {
            let source = match listed(&acceptance.from) {
                Some(list) => within(service, &[list]),
                None => anyone,
            };
            let more = self.solutions(id, Some(&acceptance.when), &acceptance.when, source);
            if let (Some((solution, _)), Some(source)) = (more.first(), source)
                && !matches!(acceptance.from, Senders::Known)
            {
                // A condition may ask for a port.
                let source = SocketAddr::new(source.ip(), solution.draft.source.port());
                self.welcome.push((acceptance, source, solution.draft.payload.clone()));
            }
            solutions.extend(more);
        }
        for (solution, _) in &solutions {
            self.collected.push(solution.draft.source, &solution.draft.payload, &[]);
            for source in &self.nobodies {
                self.collected.push(*source, &solution.draft.payload, &[]);
            }
        }
        let mut different: Vec<&Solution<'a>> = Vec::new();
        for (solution, _) in &solutions {
            let is_new = different.iter().all(|other| other.draft.payload != solution.draft.payload);
            if is_new && different.len() < MOST_CHANGED {
                different.push(solution);
            }
        }
        different.iter().for_each(|solution| self.cut(solution));
        for (solution, leaf) in &solutions {
            if let Some(leaf) = leaf
                && !self.collected.is_full()
            {
                let fields = service.protocol.fields_of([*leaf]);
                let Self { collected, rng, .. } = self;
                vary::beside(solution, leaf, &fields, rng, &mut |draft, behind| {
                    collected.push(draft.source, &draft.payload, behind);
                });
            }
        }
        let conditions = service.accept.iter().filter(|each| each.message == id).map(|each| &each.when);
        let fields = service.protocol.fields_of(conditions.chain([when]));
        for solution in different {
            self.fields(solution, &fields);
            self.change(solution);
        }
        !solutions.is_empty()
    }

    /// Packets of a message: one through each comparison of a condition of it.
    fn solutions(
        &mut self,
        id: MessageId,
        also: Option<&'a Condition>,
        condition: &'a Condition,
        source: Option<SocketAddr>,
    ) -> Vec<(Solution<'a>, Option<&'a Condition>)> {
        let Some(source) = source else {
            return Vec::new();
        };
        let leaves = leaves(condition);
        let last = leaves.len().saturating_sub(MOST_LEAVES / 4).max(MOST_LEAVES.min(leaves.len()));
        let first = &leaves[..MOST_LEAVES.min(leaves.len())];
        let targets = first.iter().chain(&leaves[last..]).map(|leaf| Some(*leaf));
        let mut solutions = Vec::new();
        for target in std::iter::once(None).chain(targets) {
            if self.collected.is_full() && !solutions.is_empty() {
                break;
            }
            let protocol = &self.service.protocol;
            let found = (0..TRIES).find_map(|_| solve(protocol, id, also, target, source, &mut self.rng));
            solutions.extend(found.map(|solution| (solution, target)));
        }
        solutions
    }

    /// Each field at the ends of what its kind can be.
    fn fields(&mut self, solution: &Solution<'a>, fields: &[FieldId]) {
        for id in fields {
            for bytes in vary::ends(&solution.draft, *id) {
                for moves in [true, false] {
                    let mut draft = solution.draft.again(moves);
                    if draft.put(*id, &bytes).is_some() {
                        self.collected.push(draft.source, &draft.payload, &[]);
                    }
                }
            }
        }
    }

    /// Shorter by each number of bytes, which may still stand behind the payload, and longer.
    fn cut(&mut self, solution: &Solution<'a>) {
        let source = solution.draft.source;
        let whole = solution.draft.payload.as_slice();
        for at in places(whole.len()) {
            let (payload, behind) = whole.split_at(at);
            self.collected.push(source, payload, &[]);
            self.collected.push(source, payload, &behind[..behind.len().min(16)]);
        }
        for more in [&[0][..], &[0xff], b"a", b" ", b"\n", &[0; 8], &[0xff; 16]] {
            self.collected.push(source, whole, more);
            if whole.len() + more.len() <= super::MOST_LEN {
                self.collected.push(source, &[whole, more].concat(), &[]);
            }
        }
    }

    /// Each byte with each bit changed, and as 0 and 255.
    fn change(&mut self, solution: &Solution<'a>) {
        let mut payload = solution.draft.payload.clone();
        for at in places(payload.len()) {
            let held = payload[at];
            let bits = (0..8).map(|bit| held ^ 1 << bit);
            for byte in bits.chain([0, 0xff, held.wrapping_add(1), held.wrapping_sub(1)]) {
                payload[at] = byte;
                self.collected.push(solution.draft.source, &payload, &[]);
            }
            payload[at] = held;
        }
    }

    /// Sources around every prefix, with packets that are accepted from anywhere, from there, and not at all.
    fn sources(&mut self) {
        let mut payloads: Vec<(u16, Vec<u8>)> = vec![(1, Vec::new())];
        for (acceptance, source, payload) in &self.welcome {
            let is_first = payloads.len() == 1;
            if is_first || acceptance.from != Senders::Anyone {
                payloads.push((source.port(), payload.clone()));
            }
        }
        payloads.truncate(32);
        let versions = sources::Versions::of(self.service);
        for list in sources::lists(self.service) {
            for address in sources::around(list).into_iter().filter(|address| versions.have(*address)) {
                for (port, payload) in &payloads {
                    self.collected.push(SocketAddr::new(address, *port), payload, &[]);
                }
            }
        }
    }

    /// Packets that come to a limit: more than it lets through of one source, then of those beside it, then of others.
    fn limit(&self, limit: &Limit) -> Option<Vec<Example>> {
        let service = self.service;
        let is_of = |acceptance: &Acceptance| limit.message.is_none_or(|id| id == acceptance.message);
        let burst = limit.rate.burst.get().min(MOST_BURST);
        let mut batch = Vec::new();
        for (acceptance, _, payload) in self.welcome.iter().filter(|(acceptance, ..)| is_of(acceptance)) {
            let lists: Vec<_> = listed(&acceptance.from).into_iter().chain(listed(&limit.from)).collect();
            let base = within(service, &lists);
            let others = self.nobodies.iter().copied().filter(|nobody| Some(*nobody) != base);
            for base in base.into_iter().chain(others) {
                let mut send = |source: SocketAddr| {
                    batch.push(Example { source, payload: payload.clone(), behind: Vec::new() });
                };
                (0..=burst).for_each(|_| send(base));
                if let Per::Source(key) = limit.per {
                    for source in sources::beside(base, key) {
                        (0..=burst).for_each(|_| send(source));
                    }
                }
                (0..=burst).for_each(|number| send(SocketAddr::new(base.ip(), 2_000 + number as u16)));
            }
            if batch.len() >= super::BATCH {
                break;
            }
        }
        let reaches = |example: &Example| {
            let decision = service.decide(&example.packet(), &mut Memory::default(), 0);
            matches!(decision, Decision::Accepted(_))
        };
        batch.iter().any(reaches).then_some(batch)
    }
}

/// Places in a payload: the first, and the last.
fn places(len: usize) -> impl Iterator<Item = usize> {
    let first = len.min(MOST_PLACES);
    (0..first).chain(first.max(len.saturating_sub(MOST_PLACES / 4))..len)
}
