//! The ledger: where every packet of a run went, each term from a source of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where every request datagram of a run went. Each term has its own source; none is what is left over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Datagrams that the clients gave to their kernel, and the harness's own GET and STOP: their counts.
    pub sent: u64,
    /// Refused by the sender's kernel: the clients' counts of failed system calls.
    #[serde(default)]
    pub refused: u64,
    /// Dropped by the program: its own counters.
    pub dropped_by_filter: u64,
    /// Dropped for a full receive buffer: the socket's drop count less the filter's.
    pub dropped_for_buffer: u64,
    /// Dropped elsewhere in the kernel, by reason: the counters of each core's backlog, of the devices between client
    /// and server, and in an audited run the audit's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped_elsewhere: BTreeMap<String, u64>,
    /// Read by the server: its counts.
    pub read: u64,
    /// Drained unread when the server ended: its count.
    pub unread: u64,
}

impl Ledger {
    /// Sent less everything accounted for; zero when the ledger balances.
    pub fn difference(&self) -> i128 {
        let accounted = [
            self.refused,
            self.dropped_by_filter,
            self.dropped_for_buffer,
            self.elsewhere(),
            self.read,
            self.unread,
        ];
        i128::from(self.sent) - accounted.into_iter().map(i128::from).sum::<i128>()
    }

    /// Dropped elsewhere in the kernel, for all reasons together.
    pub fn elsewhere(&self) -> u64 {
        self.dropped_elsewhere.values().sum()
    }

    /// Both ledgers in one.
    pub fn plus(mut self, other: &Self) -> Self {
        self.sent += other.sent;
        self.refused += other.refused;
        self.dropped_by_filter += other.dropped_by_filter;
        self.dropped_for_buffer += other.dropped_for_buffer;
        for (reason, count) in &other.dropped_elsewhere {
            *self.dropped_elsewhere.entry(reason.clone()).or_default() += count;
        }
        self.read += other.read;
        self.unread += other.unread;
        self
    }
}

/// Where the replies of a run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReplies {
    /// Replies that the server's kernel took: the server's count.
    pub sent: u64,
    /// Replies that it refused: the server's count.
    pub refused: u64,
    /// Replies that the clients and the harness read: their counts.
    pub received: u64,
    /// Replies that the kernel dropped, or that nobody had read when their socket closed: traced, in an audited run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
}

impl RunReplies {
    /// Replies sent less everything accounted for; zero when it balances. Nothing without an audit, which alone sees
    /// what became of a reply that no client waited for any more.
    pub fn difference(&self) -> Option<i128> {
        let undelivered = self.undelivered?;
        Some(i128::from(self.sent) - i128::from(self.received) - i128::from(undelivered))
    }
}
