//! The record that a client leaves of a run: what `--summary FILE` writes, as JSON.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{Arrivals, Cost, Io, Latencies, Mix, Moment};

/// Datagrams of a client, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCounts {
    /// PUTs.
    pub put: u64,
    /// GETs, retries included.
    pub get: u64,
    /// DELETEs.
    pub delete: u64,
    /// STOPs.
    pub stop: u64,
    /// Invalid datagrams.
    pub invalid: u64,
}

impl SentCounts {
    /// All datagrams.
    pub const fn total(&self) -> u64 {
        self.put + self.get + self.delete + self.stop + self.invalid
    }
}

add_up! { SentCounts { put, get, delete, stop, invalid } }

/// How one GET went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetOutcome {
    /// The key asked for.
    pub key: u32,
    /// Whether the behaviour needs a reply; where it doesn't, silence is what it expects.
    pub reply_expected: bool,
    /// Whether a reply would be as good: the key may be present or absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub either: bool,
    /// The count replied, or nothing.
    pub reply: Option<i64>,
    /// How often it was sent.
    pub attempts: u32,
    /// From the first attempt to the reply, ns.
    pub latency_ns: Option<u64>,
}

/// The schedule of a run at a rate, and how well it was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaceRecord {
    /// How moments followed each other.
    pub arrivals: Arrivals,
    /// Datagrams a moment.
    pub burst: u32,
    /// Packets/s that were reached ÷ those asked for.
    pub achieved_ratio: Option<f64>,
    /// Datagrams that left more than `late_after_ns` after they were due.
    pub late: u64,
    /// How far behind its schedule a datagram is called late, ns.
    pub late_after_ns: u64,
    /// How far behind schedule the datagrams left, refused ones included; a call's datagrams count alike.
    pub lag: Option<Latencies>,
}

/// What one sending thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadRecord {
    /// The CPU that it was confined to.
    pub cpu: Option<usize>,
    /// Sockets that it sent from.
    pub sockets: u32,
    /// Datagrams that the kernel took from it.
    pub sent: u64,
    /// What it spent from its first moment to its last reply (`RUSAGE_THREAD`).
    pub cost: Cost,
}

/// Where the GETs of a load and their replies went.
///
/// `sent` = `answered` + `unanswered`, and the latencies are those of the answered but for `untimed_answered`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyLedger {
    /// GETs that the kernel took.
    pub sent: u64,
    /// GETs whose reply came, late ones included.
    pub answered: u64,
    /// GETs whose reply hadn't come when the client stopped listening, `late_after_ns` after the last datagram.
    pub unanswered: u64,
    /// Of the answered, those whose reply came more than `late_after_ns` after the GET was due.
    pub late: u64,
    /// When a reply is late, and an open question may be given up for the sake of a new one, ns.
    pub late_after_ns: u64,
    /// Of the sent, those for which no key was free. They all ask for one key, so that their replies are counted and
    /// can't be timed; the latencies say nothing of them.
    pub untimed: u64,
    /// Of the answered, those that were untimed.
    pub untimed_answered: u64,
    /// Replies to a question that had been answered.
    pub duplicates: u64,
    /// Datagrams that answer no question of this client.
    pub unexpected: u64,
    /// Time from the moment that each GET was due, whenever it left, to its reply.
    pub latency: Option<Latencies>,
}

/// A client's record of a run.
///
/// Every datagram is accounted for: see [`Self::is_accounted_for`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// The weir version that wrote this.
    pub version: String,
    /// Behaviour, such as `frigg`.
    pub behaviour: String,
    /// The order of its valid and invalid packets; nothing for a behaviour that has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// The server's address.
    pub server: SocketAddr,
    /// How it sent: what was asked for.
    pub io: Io,
    /// Whether runs of equal packets went out by UDP GSO.
    pub gso: bool,
    /// Whether it was ended before its behaviour was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub halted: bool,
    /// Datagrams that the behaviour asks for, repeated questions not counted; of a load that time ends, those that
    /// were due within it, and of a client that was halted those whose turn had come.
    #[serde(default)]
    pub intended: u64,
    /// Datagrams that the kernel took, by kind.
    pub sent: SentCounts,
    /// Of those, the ones that made keys ready for the GETs to come.
    #[serde(default)]
    pub prepared: SentCounts,
    /// Replies that confirmed such keys.
    #[serde(default)]
    pub prepared_replies: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Datagrams that the sender's own kernel refused.
    pub refused: u64,
    /// The same by kind.
    #[serde(default)]
    pub refused_kinds: SentCounts,
    /// The same by the error's name, such as `ENOBUFS`.
    #[serde(default)]
    pub refused_by: BTreeMap<String, u64>,
    /// Of the refused, the ones in GSO sends of several: the kernel tells one error for all of them, and may have let
    /// some out when it comes from after segmentation.
    #[serde(default)]
    pub refused_in_gso: u64,
    /// Datagrams that were due and never tried, because the time for sending was over.
    #[serde(default)]
    pub unsent: u64,
    /// ICMP errors that came back because the server's port is closed; of several, the kernel may report one.
    #[serde(default)]
    pub unreachable: u64,
    /// Rate asked for, packets/s; nothing when it sent as fast as it could.
    pub offered_rate: Option<f64>,
    /// Rate reached, packets/s, from the first to the last datagram sent.
    pub achieved_rate: Option<f64>,
    /// The schedule, where there was a rate.
    #[serde(default)]
    pub pace: Option<PaceRecord>,
    /// When the first datagram was sent.
    pub first_sent_at: Option<Moment>,
    /// When the first datagram of the load was sent: questions, their preparation and the STOP are none.
    #[serde(default)]
    pub load_started_at: Option<Moment>,
    /// When the last datagram of the load was sent.
    pub last_sent_at: Option<Moment>,
    /// The GETs that were steps of the behaviour, in order.
    pub gets: Vec<GetOutcome>,
    /// The GETs within a load, and their latency; nothing where none was asked for.
    #[serde(default)]
    pub replies: Option<ReplyLedger>,
    /// The seed that it was given: of Poisson arrivals and of a random mix.
    #[serde(default)]
    pub seed: Option<u64>,
    /// The threads of a load.
    #[serde(default)]
    pub threads: Vec<ThreadRecord>,
    /// What the process spent.
    pub cost: Cost,
}

impl ClientSummary {
    /// GETs without the reply that the behaviour needs.
    pub fn missing_replies(&self) -> usize {
        self.gets.iter().filter(|get| get.reply_expected && get.reply.is_none()).count()
    }

    /// Whether nothing listens at the server's address: ICMP says that its port is closed, and no reply came.
    pub fn nobody_listens(&self) -> bool {
        self.unreachable > 0
            && self.gets.iter().all(|get| get.reply.is_none())
            && self.replies.as_ref().is_none_or(|replies| replies.answered == 0)
    }

    /// Whether what was sent, refused and left unsent is what was asked for, repeated questions and prepared keys on
    /// top.
    pub fn is_accounted_for(&self) -> bool {
        let repeated: u64 = self.gets.iter().map(|get| u64::from(get.attempts) - 1).sum();
        self.sent.total() + self.refused + self.unsent == self.intended + repeated + self.prepared.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_an_older_version_is_read() {
        let text = r#"{
            "version": "0.1.0", "behaviour": "frigg", "server": "127.0.0.1:1", "io": "batch", "gso": true,
            "sent": {"put": 5, "get": 1, "delete": 0, "stop": 0, "invalid": 5}, "bytes": 0, "refused": 0,
            "offered_rate": null, "achieved_rate": null, "first_sent_at": 1, "last_sent_at": 3, "gets": [],
            "cost": {"user_us": 0, "system_us": 0, "voluntary_switches": 0, "involuntary_switches": 0,
                     "minor_faults": 0, "major_faults": 0, "peak_rss_kib": 0}
        }"#;
        let summary: ClientSummary = serde_json::from_str(text).unwrap();
        assert_eq!((summary.sent.total(), summary.pace, summary.replies), (11, None, None));
        assert!(summary.refused_by.is_empty() && summary.threads.is_empty());
    }
}
