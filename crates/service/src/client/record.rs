//! What has been sent so far, when, and how late.

use std::{
    collections::BTreeMap,
    ops::AddAssign,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use weir_records::nanoseconds;

use super::{payload::PayloadKind, sender::Sent};
use crate::{Latencies, Moment, SentCounts};

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Datagrams sent, refused ones and retries included.
    pub sent: u64,
    /// Datagrams that the steps ask for, retries not included; `u64::MAX` where only the clock ends them.
    pub total: u64,
}

/// What one socket or several sent.
#[derive(Default)]
pub(super) struct Record {
    pub(super) sent: SentCounts,
    pub(super) bytes: u64,
    pub(super) refused: SentCounts,
    /// By errno(3).
    pub(super) refused_by: BTreeMap<i32, u64>,
    pub(super) refused_in_gso: u64,
    /// Replies to what made keys ready.
    pub(super) prepared_replies: u64,
    /// Of the sent, those that are load.
    pub(super) load_sent: u64,
    pub(super) first_sent_at: Option<Moment>,
    /// Before the first datagram other than a question or STOP left.
    pub(super) first_load_at: Option<Moment>,
    /// After the last one left.
    pub(super) last_load_at: Option<Moment>,
}

impl Record {
    /// A datagram is about to leave.
    pub(super) fn begin(&mut self, purpose: SendPurpose, now: Moment) {
        self.first_sent_at.get_or_insert(now);
        if purpose == SendPurpose::Load {
            self.first_load_at.get_or_insert(now);
        }
    }

    /// A send is over.
    pub(super) fn add(&mut self, kind: PayloadKind, purpose: SendPurpose, sent: Sent, payload_len: usize) {
        match sent {
            Sent::Taken(packets) => {
                *count_of(&mut self.sent, kind) += packets;
                self.bytes += packets * payload_len as u64;
                if purpose == SendPurpose::Load {
                    self.load_sent += packets;
                }
            }
            Sent::Refused { packets, errno } => {
                *count_of(&mut self.refused, kind) += packets;
                *self.refused_by.entry(errno).or_default() += packets;
                if packets > 1 {
                    self.refused_in_gso += packets;
                }
            }
        }
    }

    /// The last datagram of a load has left.
    pub(super) fn end(&mut self, now: Moment) {
        self.last_load_at = Some(now);
    }

    /// Packets a second from the first to the last moment of the load: n moments have n - 1 intervals between them, and
    /// each but the last has a whole burst. Nothing for a single moment.
    pub(super) fn achieved_rate(&self, burst: u64) -> Option<f64> {
        let elapsed = self.last_load_at?.since(self.first_load_at?);
        let before_last = self.load_sent.saturating_sub(1) / burst * burst;
        (before_last > 0 && !elapsed.is_zero()).then(|| before_last as f64 / elapsed.as_secs_f64())
    }
}

impl AddAssign for Record {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.refused += other.refused;
        for (errno, packets) in other.refused_by {
            *self.refused_by.entry(errno).or_default() += packets;
        }
        self.refused_in_gso += other.refused_in_gso;
        self.prepared_replies += other.prepared_replies;
        self.load_sent += other.load_sent;
        let first = |a: Option<Moment>, b: Option<Moment>| a.into_iter().chain(b).min();
        self.first_sent_at = first(self.first_sent_at, other.first_sent_at);
        self.first_load_at = first(self.first_load_at, other.first_load_at);
        self.last_load_at = self.last_load_at.max(other.last_load_at);
    }
}

/// What a datagram is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendPurpose {
    /// To load the server.
    Load,
    /// To ask, to prepare, or to end.
    Other,
}

fn count_of(counts: &mut SentCounts, kind: PayloadKind) -> &mut u64 {
    match kind {
        PayloadKind::Put => &mut counts.put,
        PayloadKind::Get => &mut counts.get,
        PayloadKind::Delete => &mut counts.delete,
        PayloadKind::Stop => &mut counts.stop,
        PayloadKind::Invalid => &mut counts.invalid,
    }
}

/// How far behind its schedule a datagram is called late. Less is the work of one send and of an interrupt.
pub(super) const LATE_AFTER: Duration = Duration::from_micros(100);

/// How far behind schedule packets left.
pub(super) struct Lag {
    histogram: Histogram<u64>,
    pub(super) late: u64,
}

impl Lag {
    pub(super) fn new() -> Self {
        Self { histogram: nanoseconds(), late: 0 }
    }

    /// `packets` left at `now` that had been due earlier or just then.
    pub(super) fn add(&mut self, due: Moment, now: Moment, packets: u64) {
        let behind = now.since(due);
        self.histogram.saturating_record_n(behind.as_nanos() as u64, packets);
        if behind > LATE_AFTER {
            self.late += packets;
        }
    }

    pub(super) fn latencies(&self) -> Option<Latencies> {
        Latencies::of(&self.histogram)
    }
}

impl AddAssign for Lag {
    fn add_assign(&mut self, other: Self) {
        self.histogram.add(other.histogram).expect("all have the same bounds");
        self.late += other.late;
    }
}

/// How long at least lies between two reports of progress.
pub(super) const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Packets between two looks at the clock for a report.
const SENDS_A_LOOK: u32 = 64;

/// Tells progress from time to time.
pub(super) struct Reporter<'a> {
    tell: &'a mut dyn FnMut(Progress),
    pub(super) done: Progress,
    told_at: Instant,
    sends_until_look: u32,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(total: u64, tell: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            tell,
            done: Progress { sent: 0, total },
            told_at: Instant::now(),
            sends_until_look: SENDS_A_LOOK,
        }
    }

    /// So many more packets are dealt with.
    pub(super) fn add(&mut self, packets: u64) {
        self.done.sent += packets;
        self.sends_until_look -= 1;
        if self.sends_until_look == 0 {
            self.sends_until_look = SENDS_A_LOOK;
            if self.told_at.elapsed() >= REPORT_EVERY {
                self.told_at = Instant::now();
                self.tell();
            }
        }
    }

    /// Tells where it stands.
    pub(super) fn tell(&mut self) {
        (self.tell)(self.done);
    }
}
