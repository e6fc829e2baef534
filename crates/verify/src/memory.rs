//! Filters with a memory: what is put into a program's maps and into the reference's, and a verdict by the clock.

use std::net::IpAddr;

use weir_filters::{
    Blocklist, During, Filter, FilterName, Moment, Quota, Reference, Site, Until, Verdict,
    corpus::{self, Case},
};
use weir_hooks::{HookError, KernelFilter, maps::Update};

/// Packets after which the memory changes.
const TURN: u32 = 256;

/// The filter with room for the keys that are known at the beginning of a turn and for one more key and source with each of
/// its packets, also where there are many CPUs. The kernel looks at the whole room to list them, at each beginning.
pub(super) fn with_little_room(filter: Filter) -> Filter {
    Filter { known_keys: 4 * TURN, quota_sources: 16 * TURN, ..filter }
}

/// What is remembered at the beginning of a turn; the same number is the same memory.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) blocklist: Blocklist,
    pub(super) quota: Quota,
    pub(super) keys: Vec<u32>,
}

/// The end of a prefix in a turn: far off, so that the clock makes no difference.
enum PrefixEnd {
    Over,
    FarOff,
    Never,
}

/// What is blocked, turn by turn: sources of [`corpus::SOURCES`] and of loopback, in prefixes within each other that are
/// over, that aren't, and that never will be.
const BLOCKED: &[&[(&str, PrefixEnd)]] = &[
    &[],
    &[
        ("10.9.8.6/31", PrefixEnd::Never),
        ("fd00:9:8:7:6:5:4:2/128", PrefixEnd::FarOff),
        ("127.0.0.2/31", PrefixEnd::Never),
    ],
    &[
        ("10.9.8.7/32", PrefixEnd::Over),
        ("10.0.0.0/9", PrefixEnd::FarOff),
        ("10.9.9.0/24", PrefixEnd::Never),
        ("::1/128", PrefixEnd::FarOff),
        ("fd00::/8", PrefixEnd::Over),
    ],
    &[("0.0.0.0/0", PrefixEnd::FarOff), ("2001:db8::/32", PrefixEnd::Over)],
    &[("::/0", PrefixEnd::Over), ("127.0.0.1/32", PrefixEnd::FarOff), ("203.0.113.0/25", PrefixEnd::FarOff)],
    &[
        ("fd00:9:8:7::/65", PrefixEnd::FarOff),
        ("127.0.0.0/8", PrefixEnd::Over),
        ("127.128.0.0/9", PrefixEnd::Never),
        ("10.9.8.0/24", PrefixEnd::Over),
    ],
    &[("::/0", PrefixEnd::Never)],
];

/// The quotas, turn by turn: two under which no token comes back within a turn, one under which hardly any is missing.
const QUOTAS: [&str; 3] = ["1/3", "1/1", "10000000/1000"];

impl Contents {
    /// Of that turn.
    pub(super) fn of(turn: u32) -> Self {
        let mut blocklist = Blocklist::default();
        for (prefix, end) in BLOCKED[turn as usize % BLOCKED.len()] {
            let until = match end {
                PrefixEnd::Over => Until::Moment(Moment { ns: 1 }),
                PrefixEnd::FarOff => Until::Moment(Moment { ns: u64::MAX / 2 }),
                PrefixEnd::Never => Until::Unblocked,
            };
            blocklist.block(prefix.parse().expect("a prefix"), until);
        }
        let quota = QUOTAS[turn as usize % QUOTAS.len()].parse().expect("a quota");
        let is_known = |(bit, key): (u32, u32)| (turn >> bit & 1 == 0).then_some(key);
        Self { blocklist, quota, keys: (0..).zip(corpus::keys()).filter_map(is_known).collect() }
    }
}

/// The reference's memory, beside a program's.
pub(super) struct ReferenceMemory {
    reference: Reference,
    turn: u32,
    /// Packets of this turn that are still to come, once it has begun.
    left: Option<u32>,
    /// What goes wrong with what the program is given; nothing where no fault is planted.
    pub(super) fault: fn(&mut Contents),
}

impl ReferenceMemory {
    /// Of the turn with which packets begin; nothing for a filter without a memory. The program's is made with the first
    /// packet.
    pub(super) fn of(filter: Filter, turn: u32) -> Option<Self> {
        let memory = Self { reference: Reference::new(filter), turn, left: None, fault: |_| () };
        filter.is_dynamic().then_some(memory)
    }

    /// The turn.
    pub(super) fn turn(&self) -> u32 {
        self.turn
    }

    /// Counts a packet, before which the memory may become another one.
    pub(super) fn pass(&mut self, program: &KernelFilter) -> Result<(), HookError> {
        match self.left {
            Some(0) => {
                self.turn = self.turn.wrapping_add(1);
                self.restore(program)?;
            }
            None => self.restore(program)?,
            Some(_) => {}
        }
        self.left = self.left.map(|left| left - 1);
        Ok(())
    }

    /// Puts program and reference where the turn began.
    pub(super) fn restore(&mut self, program: &KernelFilter) -> Result<(), HookError> {
        self.left = Some(TURN);
        let contents = Contents::of(self.turn);
        let mut given = contents.clone();
        (self.fault)(&mut given);
        let filter = self.reference.filter;
        if filter.has(FilterName::Blocklist) {
            program.set_blocklist(&given.blocklist)?;
            self.reference.blocklist = contents.blocklist;
        }
        if filter.has(FilterName::Quota) {
            program.set_quota(given.quota)?;
            self.reference.set_quota(contents.quota);
        }
        if filter.has(FilterName::KnownKey) {
            let mut map = program.key_map()?;
            let known = map.fold(Vec::new(), |mut known, key, _| {
                known.push(key);
                known
            })?;
            for key in known {
                map.delete(key)?;
            }
            for key in &given.keys {
                map.update(*key, 1, Update::Any)?;
            }
            let known: Vec<_> = self.reference.known().collect();
            known.into_iter().for_each(|key| self.reference.forget(key));
            contents.keys.into_iter().for_each(|key| self.reference.learn(key));
        }
        Ok(())
    }

    /// What the reference says of a packet that a program decided.
    pub(super) fn expected(
        &mut self,
        site: &Site,
        case: &Case,
        sender: Option<IpAddr>,
        during: During,
        said: Verdict,
    ) -> Verdict {
        site.decide(&case.seen, case.segments, |packet| {
            let source = site.source(&case.seen).or(sender);
            self.reference.decide_within(packet, source, during, said)
        })
    }
}

#[cfg(test)]
mod tests {
    use weir_service::monotonic_now;

    use super::*;

    #[test]
    fn turns_block_and_pass_each_source_and_know_and_dont_know_each_key() {
        let turns: Vec<_> = (0..64).map(Contents::of).collect();
        for source in corpus::SOURCES {
            let blocks = |turn: &Contents| turn.blocklist.blocks(source, monotonic_now());
            assert!(turns.iter().any(blocks) && !turns.iter().all(blocks), "{source}");
        }
        for key in corpus::keys() {
            let knows = |turn: &Contents| turn.keys.contains(&key);
            assert!(turns.iter().any(knows) && !turns.iter().all(knows), "{key:#x}");
        }
    }
}
