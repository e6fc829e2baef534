//! Services: what happens to a packet by its source, its message, and those before it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    Condition, FieldId, LimitId, Memory, MessageId, Packet, Party, PrefixList, Protocol, RateLimit, SourceKey,
};

/// A UDP service and who may send it what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name in messages, counters and paths.
    pub name: String,
    /// Where its packets go.
    pub listen: Listen,
    /// Where they are judged.
    pub at: Placement,
    /// Whether what isn't accepted is dropped.
    pub mode: Mode,
    /// Its messages; of several protocols that share the port one behind the other.
    pub protocol: Protocol,
    /// What is accepted; the rest is dropped.
    pub accept: Vec<Acceptance>,
    /// Sources that are accepted whatever they send.
    pub allow: PrefixList,
    /// Sources that are dropped whatever they send.
    pub block: PrefixList,
    /// How much of it: those of a message are asked before those of the service, in order.
    pub limits: Vec<Limit>,
    /// Which sources are known, if any are.
    pub known: Option<KnownSources>,
    /// What becomes of packets that can't be judged.
    pub unjudged: Unjudged,
    /// Whether, and how often, dropped packets are kept.
    pub sample: Option<Sample>,
}

/// Where a service's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// The address, or nothing for every address of the machine.
    pub address: Option<IpAddr>,
    /// The UDP port.
    pub port: u16,
}

/// Where packets are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The hook, or nothing where weir chooses.
    pub hook: Option<GuardHook>,
    /// The interfaces, for hooks that belong to one; all that lead to the service where there is none.
    pub interfaces: Vec<String>,
    /// The control group's folder, for the hook of that name; that of the service's sockets where there is none.
    pub group: Option<String>,
    /// The systemd unit that serves, where it says more than the port.
    pub unit: Option<String>,
    /// The process that serves.
    pub pid: Option<u32>,
    /// The network namespace that it is in, by its name (`ip netns`) or a path; that of whoever attaches where there is none.
    pub network: Option<String>,
    /// Whether its packets are judged on when the process ends that attached it, until the next one takes over.
    pub keep: bool,
}

/// The hooks that guards are attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuardHook {
    /// At the service's sockets.
    Socket,
    /// At its control group.
    Cgroup,
    /// At the network device, behind the making of a packet's buffer.
    Tc,
    /// At the network device's driver.
    Xdp,
}

/// Whether what isn't accepted is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is counted and passes.
    #[default]
    Observe,
    /// It is dropped.
    Enforce,
}

impl Mode {
    /// Its name in guards and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// A message that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Which.
    pub message: MessageId,
    /// From whom.
    pub from: Senders,
    /// What must hold besides.
    pub when: Condition,
}

/// Whose packets a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Senders {
    /// Everybody's.
    Anyone,
    /// Those of known sources ([`KnownSources`]).
    Known,
    /// Those of all others.
    Unknown,
    /// Those of sources in a list.
    Listed(PrefixList),
}

/// How many packets may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Of which message, or nothing for all that are accepted.
    pub message: Option<MessageId>,
    /// Whose packets it counts.
    pub from: Senders,
    /// For whom a bucket is kept.
    pub per: Per,
    /// How many.
    pub rate: RateLimit,
}

/// For whom a bucket is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// One for all.
    All,
    /// One for each source.
    Source(SourceKey),
}

/// Which sources are known: those to which the service has sent a message that proves that they are where they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSources {
    /// What the service sends them: one of these.
    pub after: Vec<MessageId>,
    /// What counts as the same source.
    pub by: SourceKey,
    /// How long they are known.
    pub lasting: Duration,
}

/// What becomes of packets that can't be judged. Each kind is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unjudged {
    /// Fragments of IP packets, which hooks below the IP layer see.
    pub fragments: Fate,
    /// Packets with more headers than are read.
    pub unreadable: Fate,
    /// Several datagrams in one packet (UDP GSO), where no program can tell them from each other.
    pub super_packets: Fate,
}

/// Why a packet can't be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnjudgedKind {
    /// It is the first fragment of a packet for the service; later fragments say no port, and make no packet without it.
    Fragment,
    /// It has more headers than are read, or a length of 0, and goes to the service's address; or fields stand anywhere, and at xdp no
    /// helper reads its end.
    Unreadable,
    /// It is several datagrams.
    SuperPacket,
}

impl UnjudgedKind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Fragment, Self::Unreadable, Self::SuperPacket];
}

impl Unjudged {
    /// What becomes of packets of that kind.
    pub const fn decision(self, kind: UnjudgedKind) -> Decision {
        let fate = match kind {
            UnjudgedKind::Fragment => self.fragments,
            UnjudgedKind::Unreadable => self.unreadable,
            UnjudgedKind::SuperPacket => self.super_packets,
        };
        Decision::Unjudged(kind, fate)
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is dropped.
    #[default]
    Drop,
    /// It passes.
    Pass,
}

/// How dropped packets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// At most so many.
    pub rate: RateLimit,
    /// The capture file.
    pub to: String,
}

/// A part of a service that something may be said about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServicePart {
    /// Its name.
    Name,
    /// What it listens to.
    Listen,
    /// The interfaces.
    Interfaces,
    /// The sources that are accepted whatever they send.
    Allow,
    /// The sources that are dropped whatever they send.
    Block,
    /// Which sources are known.
    Known,
    /// A field of its protocol.
    Field(FieldId),
    /// A message of its protocol.
    Message(MessageId),
    /// What holds of a message's packets, among others, by its place in [`Condition::conjuncts`].
    Conjunct(MessageId, usize),
    /// An acceptance, by its place in the list.
    Accept(usize),
    /// A limit.
    Limit(LimitId),
}

/// What becomes of a packet, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Accepted: its source is on the list `allow`.
    Allowed,
    /// Dropped: its source is on the list `block`.
    Blocked,
    /// Dropped: it is no message of the protocol.
    NoMessage,
    /// Dropped: its message is not accepted, not from that source, or not so.
    Unwelcome(MessageId),
    /// Dropped: there were too many of it.
    OverLimit(MessageId, LimitId),
    /// Accepted.
    Accepted(MessageId),
    /// Whatever the guard says of packets that can't be judged.
    Unjudged(UnjudgedKind, Fate),
}

impl Decision {
    /// Whether the packet goes on to the service.
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Allowed | Self::Accepted(_) | Self::Unjudged(_, Fate::Pass))
    }

    /// Its name in records; decisions about different messages share one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::NoMessage => "no-message",
            Self::Unwelcome(_) => "unwelcome",
            Self::OverLimit(..) => "over-limit",
            Self::Accepted(_) => "accepted",
            Self::Unjudged(UnjudgedKind::Fragment, _) => "fragment",
            Self::Unjudged(UnjudgedKind::Unreadable, _) => "unreadable",
            Self::Unjudged(UnjudgedKind::SuperPacket, _) => "super-packet",
        }
    }

    /// The message that the packet was, where that decided.
    pub const fn message(self) -> Option<MessageId> {
        match self {
            Self::Unwelcome(message) | Self::OverLimit(message, _) | Self::Accepted(message) => Some(message),
            Self::Allowed | Self::Blocked | Self::NoMessage | Self::Unjudged(..) => None,
        }
    }

    /// The limit that the packet was over.
    pub const fn limit(self) -> Option<LimitId> {
        match self {
            Self::OverLimit(_, limit) => Some(limit),
            _ => None,
        }
    }
}

impl Service {
    /// What becomes of a packet that comes at `now`, in nanoseconds of a clock that never goes back.
    pub fn decide(&self, packet: &Packet<'_>, memory: &mut Memory, now: u64) -> Decision {
        if let Some(decision) = self.by_source(packet.source_address()) {
            return decision;
        }
        let Some(message) = self.protocol.message_of(packet, Party::Client) else {
            return Decision::NoMessage;
        };
        let is_accepted = self.accept.iter().any(|each| {
            each.message == message
                && self.is_from(&each.from, packet, memory, now)
                && each.when.of(packet, &self.protocol.fields).is_true()
        });
        if !is_accepted {
            return Decision::Unwelcome(message);
        }
        for (id, limit) in self.limits_of(message) {
            if self.is_from(&limit.from, packet, memory, now) {
                let bucket = match limit.per {
                    Per::All => None,
                    Per::Source(key) => Some(key.of(packet.source)),
                };
                if !memory.take(id, bucket, limit.rate, now) {
                    return Decision::OverLimit(message, id);
                }
            }
        }
        Decision::Accepted(message)
    }

    /// Whether a packet that is decided so goes on to the service: all do while the guard observes.
    pub fn lets_through(&self, decision: Decision) -> bool {
        decision.is_accepted() || self.mode == Mode::Observe
    }

    /// What becomes of a packet from `source` that can't be judged.
    pub fn decide_unjudged(&self, kind: UnjudgedKind, source: IpAddr) -> Decision {
        self.by_source(source.to_canonical()).unwrap_or(self.unjudged.decision(kind))
    }

    fn by_source(&self, source: IpAddr) -> Option<Decision> {
        match source {
            _ if self.allow.contains(source) => Some(Decision::Allowed),
            _ if self.block.contains(source) => Some(Decision::Blocked),
            _ => None,
        }
    }

    /// Takes note of a packet that the service sends to `to` at `now`, and says whether that is known by it.
    pub fn answered(&self, answer: &Packet<'_>, to: SocketAddr, memory: &mut Memory, now: u64) -> bool {
        let Some(known) = &self.known else {
            return false;
        };
        let message = self.protocol.message_of(answer, Party::Service);
        let is_known = message.is_some_and(|message| known.after.contains(&message));
        if is_known {
            memory.know(known.by.of(to), now.saturating_add(known.lasting.as_nanos() as u64));
        }
        is_known
    }

    /// How many sources can be known at once, where limits for all bound what can be answered; nothing where they don't.
    pub fn most_known(&self) -> Option<u64> {
        let lasting = self.known.as_ref()?.lasting.as_nanos();
        let is_for_all =
            |limit: &Limit| limit.per == Per::All && matches!(limit.from, Senders::Anyone | Senders::Unknown);
        let of_strangers = |each: &&Acceptance| matches!(each.from, Senders::Anyone | Senders::Unknown);
        let mut limits = BTreeSet::new();
        for each in self.accept.iter().filter(of_strangers) {
            limits.insert(self.limits_of(each.message).find(|(_, limit)| is_for_all(limit))?.0);
        }
        let passing = |id: LimitId| {
            let RateLimit { interval, burst } = self.limits[id.0].rate;
            lasting / u128::from(interval.get()) + u128::from(burst.get())
        };
        u64::try_from(limits.into_iter().map(passing).sum::<u128>()).ok()
    }

    /// How many sources a kernel has room for: as many as strangers can become known, and 65 536 for those that are known already;
    /// at most 4 194 304.
    pub fn known_room(&self) -> u32 {
        const ALREADY: u64 = 65_536;
        const MOST: u64 = 1 << 22;
        self.most_known().unwrap_or(0).saturating_add(ALREADY).min(MOST) as u32
    }

    /// Every decision that there is, in the order in which programs count them.
    pub fn decisions(&self) -> Vec<Decision> {
        let messages = (0..self.protocol.messages.len()).map(MessageId);
        let of_message = |message: MessageId| {
            let over = self.limits_of(message).map(move |(limit, _)| Decision::OverLimit(message, limit));
            [Decision::Accepted(message), Decision::Unwelcome(message)].into_iter().chain(over)
        };
        let always = [Decision::Allowed, Decision::Blocked, Decision::NoMessage];
        let unjudged = UnjudgedKind::ALL.map(|kind| self.unjudged.decision(kind));
        always.into_iter().chain(unjudged).chain(messages.flat_map(of_message)).collect()
    }

    /// The limits that a message's packets meet, in order: its own, then the service's.
    pub fn limits_of(&self, message: MessageId) -> impl Iterator<Item = (LimitId, &Limit)> {
        let with_ids = || self.limits.iter().enumerate().map(|(id, limit)| (LimitId(id), limit));
        let own = with_ids().filter(move |(_, limit)| limit.message == Some(message));
        own.chain(with_ids().filter(|(_, limit)| limit.message.is_none()))
    }

    fn is_from(&self, senders: &Senders, packet: &Packet<'_>, memory: &Memory, now: u64) -> bool {
        let is_known = || {
            let known = self.known.as_ref();
            known.is_some_and(|known| memory.knows(&known.by.of(packet.source), now))
        };
        match senders {
            Senders::Anyone => true,
            Senders::Known => is_known(),
            Senders::Unknown => !is_known(),
            Senders::Listed(list) => list.contains(packet.source_address()),
        }
    }
}
