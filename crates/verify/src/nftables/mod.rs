//! A service's nftables ruleset against the interpreter: in the real nft, in a network namespace of its own, with real datagrams.
//!
//! What is delivered, and what each counter says, is compared exactly; who is known by what the service sends, by what is delivered then. Limits are compared exactly too, at one packet an hour, so
//! that it doesn't matter how long a comparison takes; and in time, with a tolerance that [`paced()`] writes down.

mod counters;
mod network;
mod paced;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use anyhow::Context as _;
use weir_guard::{
    meaning::{Decision, Memory, Mode, Packet, Party, RateLimit, Service},
    nft,
};

use crate::disagreement::hex;
use network::Network;
pub use paced::{ComparedPace, paced};

/// A datagram for a service, or from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceDatagram {
    /// Who sends it.
    pub by: Party,
    /// The client that sends it, from any address, since it is sent with its IP header; or that the service sends it to.
    pub source: SocketAddr,
    /// The payload.
    pub payload: Vec<u8>,
    /// Bytes behind the payload's end by UDP's length field, which IP has and the payload has not. The service's has none.
    pub behind: Vec<u8>,
}

impl ServiceDatagram {
    fn packet(&self) -> Packet<'_> {
        Packet::whole(self.source, &self.payload)
    }
}

/// What came of a ruleset.
#[derive(Clone, Debug, Default)]
pub struct ComparedRuleset {
    /// Datagrams that were sent to the service.
    pub sent: u64,
    /// Those of them that came to the service.
    pub delivered: u64,
    /// Clients that were known by a datagram of the service, each time.
    pub known: u64,
    /// Datagrams that this kernel sends to no such service: by their length, or because their source or the service's address is of
    /// the other IP version, or nobody's.
    pub not_sendable: u64,
    /// The first disagreement, after which nothing was sent.
    pub shown: Option<RulesetDisagreement>,
}

/// How a ruleset differs from the interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesetDisagreement {
    /// A datagram was delivered that should not be, or the other way round.
    Delivery {
        /// Which.
        datagram: ServiceDatagram,
        /// The comment of the rule that should count it.
        expected: String,
        /// Whether it was delivered.
        is_delivered: bool,
    },
    /// Rules counted more or fewer datagrams than are theirs.
    Count {
        /// Their comment.
        comment: String,
        /// What they should have counted.
        expected: u64,
        /// What they counted.
        counted: u64,
    },
}

/// Sends batches of datagrams to a service behind its ruleset. Each batch begins with nothing remembered.
///
/// It needs nft(8), ip(8), CAP_SYS_ADMIN and CAP_NET_ADMIN. Everything is gone when it ends.
///
/// # Errors
/// nft can't say the service, or the ruleset can't be loaded; the namespace or a socket fails.
pub fn compare(service: &Service, batches: Vec<Vec<ServiceDatagram>>) -> anyhow::Result<ComparedRuleset> {
    compare_changed(service, batches, str::to_owned)
}

/// Compares a ruleset that was changed, as somebody may get it wrong, to see that it is noticed.
///
/// # Errors
/// As [`compare`].
pub fn compare_changed(
    service: &Service,
    batches: Vec<Vec<ServiceDatagram>>,
    change: impl Fn(&str) -> String + Send + 'static,
) -> anyhow::Result<ComparedRuleset> {
    let service = tried(service);
    let ruleset = change(&network::ruleset(&service)?);
    weir_hooks::in_own_network(move || {
        let mut network = Network::of(&service)?;
        let mut compared = ComparedRuleset::default();
        for batch in &batches {
            counters::load(&ruleset)?;
            compare_batch(&mut network, &service, batch, &mut compared)?;
            if compared.shown.is_some() {
                break;
            }
        }
        Ok(compared)
    })
    .context("making a network namespace; it needs root")?
}

/// The service as it is compared: limits have one token an hour and are soon reached, who is known is so for an hour, and interfaces
/// are the namespace's.
fn tried(service: &Service) -> Service {
    const INTERVAL: NonZeroU64 = NonZeroU64::new(3_600_000_000_000).expect("it is not 0");
    const MOST_BURST: NonZeroU32 = NonZeroU32::new(8).expect("it is not 0");
    let mut tried = in_namespace(service);
    if let Some(known) = &mut tried.known {
        known.lasting = Duration::from_nanos(INTERVAL.get());
    }
    for limit in &mut tried.limits {
        limit.rate = RateLimit { interval: INTERVAL, burst: limit.rate.burst.min(MOST_BURST) };
    }
    tried
}

fn in_namespace(service: &Service) -> Service {
    let mut tried = service.clone();
    for interface in &mut tried.at.interfaces {
        "lo".clone_into(interface);
    }
    tried
}

fn compare_batch(
    network: &mut Network,
    service: &Service,
    batch: &[ServiceDatagram],
    compared: &mut ComparedRuleset,
) -> anyhow::Result<()> {
    let mut memory = Memory::default();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut sent: Vec<(&ServiceDatagram, Decision)> = Vec::new();
    for datagram in batch {
        if !network.send(datagram)? {
            compared.not_sendable += 1;
            continue;
        }
        if datagram.by == Party::Service {
            if service.answered(&datagram.packet(), datagram.source, &mut memory, 0) {
                compared.known += 1;
                *counts.entry(nft::IS_KNOWN.to_owned()).or_default() += 1;
            }
            continue;
        }
        compared.sent += 1;
        let decision = service.decide(&datagram.packet(), &mut memory, 0);
        *counts.entry(nft::comment(service, decision)).or_default() += 1;
        sent.push((datagram, decision));
        if is_delivered(service, decision) {
            if !network.receives(datagram, service, counts.values().sum())? {
                compared.shown = Some(network.delivery(service, &sent, false));
                return Ok(());
            }
            compared.delivered += 1;
        }
    }
    let counted = network.counted(service, counts.values().sum())?;
    // By now all of them were judged.
    if network.has_received_more()? {
        compared.shown = Some(network.delivery(service, &sent, true));
        return Ok(());
    }
    let comments = counts.keys().chain(counted.keys());
    compared.shown = comments.into_iter().find_map(|comment| {
        let of = |all: &BTreeMap<String, u64>| all.get(comment).copied().unwrap_or_default();
        let (expected, counted) = (of(&counts), of(&counted));
        let comment = comment.clone();
        (expected != counted).then_some(RulesetDisagreement::Count { comment, expected, counted })
    });
    Ok(())
}

/// Whether a datagram comes to the service.
fn is_delivered(service: &Service, decision: Decision) -> bool {
    decision.is_accepted() || service.mode == Mode::Observe
}

impl fmt::Display for RulesetDisagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery {
                datagram: ServiceDatagram { by: _, source, payload, behind },
                expected,
                is_delivered,
            } => {
                let done = if *is_delivered { "delivers" } else { "doesn't deliver" };
                write!(f, "the interpreter says '{expected}', and nft {done} it: from {source}, ")?;
                write!(f, "{} bytes of payload: {}", payload.len(), hex(payload))?;
                if behind.is_empty() { Ok(()) } else { write!(f, ", behind it {}", hex(behind)) }
            }
            Self::Count { comment, expected, counted } => {
                write!(
                    f,
                    "the interpreter says '{comment}' {expected} times, and nft counts it {counted} times"
                )
            }
        }
    }
}
