//! What has been sent so far, and when.

use std::time::{Duration, Instant};

use super::{
    sender::Sent,
    step::{Kind, Step},
};
use crate::{Monotonic, SentCounts};

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Datagrams sent, refused ones and retries included.
    pub sent: u64,
    /// Datagrams that the steps ask for, retries not included.
    pub total: u64,
}

/// How long at least lies between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Sends between two looks at the clock for a report.
const SENDS_A_LOOK: u32 = 64;

pub(super) struct Tally<'a> {
    progress: &'a mut dyn FnMut(Progress),
    done: Progress,
    reported_at: Instant,
    sends_until_look: u32,
    record: Record,
}

/// The part of a tally that outlives the run.
#[derive(Default)]
pub(super) struct Record {
    pub(super) sent: SentCounts,
    pub(super) bytes: u64,
    pub(super) first_sent_at: Option<Monotonic>,
    /// Before the first datagram other than a GET or STOP left.
    first_load_at: Option<Monotonic>,
    /// After the last one left.
    pub(super) last_load_at: Option<Monotonic>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(steps: &[Step], progress: &'a mut dyn FnMut(Progress)) -> Self {
        let total = steps.iter().fold(0_u64, |sum, step| sum.saturating_add(step.packets()));
        Self {
            progress,
            done: Progress { sent: 0, total },
            reported_at: Instant::now(),
            sends_until_look: SENDS_A_LOOK,
            record: Record::default(),
        }
    }

    /// A datagram of this kind is about to leave.
    pub(super) fn begin(&mut self, kind: Kind) {
        self.record.first_sent_at.get_or_insert_with(Monotonic::now);
        if is_load(kind) {
            self.record.first_load_at.get_or_insert_with(Monotonic::now);
        }
    }

    /// A send is over.
    pub(super) fn add(&mut self, kind: Kind, sent: Sent, payload_len: usize) {
        let counts = &mut self.record.sent;
        *match kind {
            Kind::Put => &mut counts.put,
            Kind::Get => &mut counts.get,
            Kind::Delete => &mut counts.delete,
            Kind::Stop => &mut counts.stop,
            Kind::Invalid => &mut counts.invalid,
        } += sent.taken;
        self.record.bytes += sent.taken * payload_len as u64;
        self.done.sent += sent.taken + sent.refused;
        self.sends_until_look -= 1;
        if self.sends_until_look == 0 {
            self.sends_until_look = SENDS_A_LOOK;
            self.report();
        }
    }

    /// The last datagram of a run of this kind has left.
    pub(super) fn end(&mut self, kind: Kind) {
        if is_load(kind) {
            self.record.last_load_at = Some(Monotonic::now());
        }
    }

    pub(super) fn finish(self) -> Record {
        (self.progress)(self.done);
        self.record
    }

    fn report(&mut self) {
        if self.reported_at.elapsed() >= REPORT_EVERY {
            self.reported_at = Instant::now();
            (self.progress)(self.done);
        }
    }
}

impl Record {
    /// Packets a second from the first to the last datagram other than GET and STOP: n packets have n - 1
    /// intervals between them. Nothing for fewer than two.
    pub(super) fn achieved_rate(&self) -> Option<f64> {
        let load = self.sent.put + self.sent.delete + self.sent.invalid;
        let elapsed = self.last_load_at?.since(self.first_load_at?);
        (load > 1 && !elapsed.is_zero()).then(|| (load - 1) as f64 / elapsed.as_secs_f64())
    }
}

const fn is_load(kind: Kind) -> bool {
    !matches!(kind, Kind::Get | Kind::Stop)
}
