//! The reference with a memory: filters whose decisions depend on sources, on time and on packets before.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use weir_wire::{Command, DEFAULT_CAPACITY, udp};

use crate::{Blocklist, Filter, FilterName, Moment, Packet, Quota, SourceCheck, Verdict, blocklist::octets};

/// A chain of filters with what it remembers: as every program with maps must decide.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Parameters included; they may be changed.
    pub filter: Filter,
    /// Which sources are blocked.
    pub blocklist: Blocklist,
    keys: HashSet<u32>,
    /// When each source's next packet would be due (GCRA's theoretical arrival time).
    due: HashMap<[u8; 16], During>,
}

/// The earliest and the latest moment at which something may have been.
pub type During = [Moment; 2];

/// How many sources a quota remembers; a program's map forgets who was silent longest, this reference everybody. Who is
/// forgotten has a full bucket again.
pub const QUOTA_SOURCES: u32 = 65_536;

/// How many keys can be known unless something else is asked for: twice as many as a bag holds then, because programs add
/// the keys of PUTs that the server never sees.
pub const KNOWN_KEYS: u32 = 2 * DEFAULT_CAPACITY as u32;

/// How many prefixes can be blocked at a time.
pub const BLOCKED_PREFIXES: u32 = 1 << 20;

impl Reference {
    /// Nothing blocked, no key known, every bucket full.
    pub fn new(filter: Filter) -> Self {
        Self { filter, blocklist: Blocklist::default(), keys: HashSet::new(), due: HashMap::new() }
    }

    /// Decides a packet, and remembers what the decision changes. A source check passes a packet without a source on.
    pub fn decide(&mut self, packet: Packet<'_>, source: Option<IpAddr>, now: Moment) -> Verdict {
        self.decide_within(packet, source, [now; 2], Verdict::Accept)
    }

    /// The same where somebody else decided too, and it isn't known when exactly: where that moment matters, both
    /// verdicts are right, and what was `said` is taken for what happened.
    pub fn decide_within(
        &mut self,
        packet: Packet<'_>,
        source: Option<IpAddr>,
        during: During,
        said: Verdict,
    ) -> Verdict {
        let checks = self.filter.checks.iter().chain(self.filter.name.source_check());
        for check in checks {
            let Some(source) = source else { break };
            let passes = match check {
                SourceCheck::Blocklist => {
                    let until = self.blocklist.end_for(source);
                    let [before, after] =
                        during.map(|moment| until.is_none_or(|until| until.is_over(moment)));
                    if before == after { before } else { said == Verdict::Accept }
                }
                SourceCheck::Quota => self.spend(source, during, said),
            };
            if !passes {
                return Verdict::Drop;
            }
        }
        match self.filter.name {
            FilterName::KnownKey => self.decide_by_key(packet),
            FilterName::Blocklist | FilterName::Quota => Verdict::Accept,
            _ => self.filter.decide(packet),
        }
    }

    /// Another quota, under which every source begins anew.
    pub fn set_quota(&mut self, quota: Quota) {
        self.filter.quota = quota;
        self.due.clear();
    }

    /// A key is known from now on: the bag holds it.
    pub fn learn(&mut self, key: u32) {
        self.keys.insert(key);
    }

    /// A key isn't known any more.
    pub fn forget(&mut self, key: u32) {
        self.keys.remove(&key);
    }

    /// Whether the key is known.
    pub fn knows(&self, key: u32) -> bool {
        self.keys.contains(&key)
    }

    /// The keys that are known, in no order.
    pub fn known(&self) -> impl Iterator<Item = u32> {
        self.keys.iter().copied()
    }

    /// Takes a token out of the source's bucket, if there is one.
    fn spend(&mut self, source: IpAddr, during: During, said: Verdict) -> bool {
        let [before, after] = during;
        let (interval, tolerance) = (self.filter.quota.interval(), self.filter.quota.tolerance());
        self.make_room(before);
        let due = self.due.entry(octets(source)).or_insert(during);
        let [least, most] = [due[0].since(after), due[1].since(before)];
        let spent = [due[0].max(before) + interval, due[1].max(after) + interval];
        let is_open = most > tolerance && least <= tolerance;
        let passes = if is_open { said == Verdict::Accept } else { most <= tolerance };
        if passes {
            *due = spent;
        } else if is_open {
            // A later filter may have dropped it, when its token was spent.
            due[1] = spent[1];
        }
        passes
    }

    fn make_room(&mut self, now: Moment) {
        if self.due.len() < QUOTA_SOURCES as usize {
            return;
        }
        self.due.retain(|_, due| due[1] > now);
        // All at once: looking for who was silent longest at every packet would cost more than the packets do.
        if self.due.len() > QUOTA_SOURCES as usize / 4 * 3 {
            self.due.clear();
        }
    }

    /// A key is learnt from the PUT that passes, so that what follows it passes too.
    fn decide_by_key(&mut self, packet: Packet<'_>) -> Verdict {
        match request(packet) {
            Some(Keyed { command: Command::Put, key }) => {
                self.keys.insert(key);
                Verdict::Accept
            }
            Some(Keyed { command: Command::Get | Command::Delete, key }) if !self.keys.contains(&key) => {
                Verdict::Drop
            }
            _ => Filter::from(FilterName::RobustValidCommand).decide(packet),
        }
    }
}

struct Keyed {
    command: Command,
    key: u32,
}

/// What robust-valid-command accepts, with its key where it has one that is there.
fn request(packet: Packet<'_>) -> Option<Keyed> {
    let command = Command::ALL.into_iter().find(|command| {
        packet.payload.starts_with(command.word())
            && packet.udp_length == Some(udp::length_field(command.request_len()))
    })?;
    let key = packet.payload.get(command.word().len()..)?.first_chunk()?;
    Some(Keyed { command, key: u32::from_le_bytes(*key) })
}
