//! A sending socket of a load: its stretch of the load, and its questions.

use std::{os::fd::AsFd, time::Duration};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};
use weir_wire::Request;

use super::{
    ClientError,
    deal::Load,
    payload::PayloadKind,
    plan::LoadPlan,
    record::{Record, SendPurpose},
    replies::{MAX_SLOTS, Questions, SocketKeys},
    sender::{PacketRuns, Run, Sender, Sent, Zeal},
};
use crate::{
    Io, Moment, monotonic_now,
    sys::{ReceiveBatch, Wait},
};

/// One socket and what belongs to it.
pub(super) struct Lane {
    pub(super) sender: Sender,
    pub(super) record: Record,
    /// Nothing where the load has no GETs.
    pub(super) questions: Option<Questions>,
    io: Io,
    /// The next packet of its stretch of the load.
    next: u64,
    received: ReceiveBatch,
}

impl Lane {
    pub(super) fn open(plan: &LoadPlan<'_>, socket: u32) -> Result<Self, ClientError> {
        let server = plan.config.server;
        let sender = Sender::new(server, plan.config.io, plan.config.hide_refusals)?;
        let port = sender.socket.local_addr().map_err(|cause| ClientError::Socket { server, cause })?.port();
        let questions =
            slots(plan).map(|slots| Questions::new(SocketKeys { port, slots }, plan.config.get.timeout));
        Ok(Self {
            sender,
            record: Record::default(),
            questions,
            io: plan.config.io,
            next: plan.deal.start_of_socket(socket),
            received: ReceiveBatch::new(),
        })
    }

    /// Sends the next `packets` packets of the load, which were due at `due`: one by one in their order, or in batch by
    /// kind, equal ones together.
    pub(super) fn send(&mut self, load: &Load, runs: &PacketRuns, packets: u64, due: Moment, now: Moment) {
        self.record.begin(SendPurpose::Load, now);
        let indices = self.next..self.next + packets;
        self.next = indices.end;
        if self.io == Io::Simple || packets == 1 {
            for index in indices {
                self.send_kind(load.kind(index), 1, runs, due, now);
            }
            return;
        }
        let count = |kind| indices.clone().filter(|&index| load.kind(index) == kind).count() as u64;
        for kind in [PayloadKind::Put, PayloadKind::Invalid, PayloadKind::Get] {
            self.send_kind(kind, count(kind), runs, due, now);
        }
    }

    fn send_kind(&mut self, kind: PayloadKind, packets: u64, runs: &PacketRuns, due: Moment, now: Moment) {
        match kind {
            PayloadKind::Get => (0..packets).for_each(|_| self.ask(due, now)),
            PayloadKind::Invalid => self.send_run(kind, &runs.invalid, packets),
            _ => self.send_run(kind, &runs.valid, packets),
        }
    }

    fn send_run(&mut self, kind: PayloadKind, run: &Run, packets: u64) {
        let mut left = packets;
        while left > 0 {
            let sent = self.sender.send(run, left, Zeal::Once).expect("only a sender that insists fails");
            left -= sent.packets();
            self.record.add(kind, SendPurpose::Load, sent, run.len);
        }
    }

    fn ask(&mut self, due: Moment, now: Moment) {
        let questions = self.questions.as_mut().expect("a load with GETs has questions");
        let key = questions.ask(due, now);
        let get = Run::new(&Request::Get { key }.to_bytes(), 1);
        let sent = self.sender.send(&get, 1, Zeal::Once).expect("only a sender that insists fails");
        if matches!(sent, Sent::Refused { .. }) {
            questions.take_back(key);
        }
        self.record.add(PayloadKind::Get, SendPurpose::Load, sent, get.len);
    }

    /// Whether a reply may still come.
    pub(super) fn is_open(&self) -> bool {
        self.questions.as_ref().is_some_and(Questions::is_open)
    }

    /// Takes the replies that have come, a batch at most, so that the next moment isn't missed over them.
    pub(super) fn hear(&mut self) {
        let Some(questions) = self.questions.as_mut().filter(|questions| questions.is_open()) else { return };
        match self.received.receive(&self.sender.socket, Wait::Never) {
            Ok(datagrams) => {
                let now = monotonic_now();
                for i in 0..datagrams {
                    let (bytes, len) = self.received.datagram(i);
                    // What was cut off is longer than any count of these keys.
                    questions.hear(if bytes.len() == len { bytes } else { &[] }, now);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.sender.unreachable += 1
            }
            // Nothing is there, or an ICMP error took its place: the next send meets it again if it lasts.
            Err(_) => {}
        }
    }
}

/// The longest sleep in one piece: the kernel lets poll(2) end a thousandth of its timeout late (fs/select.c,
/// `select_estimate_accuracy`).
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// Sleeps for `time` or less, and hears replies that come meanwhile.
pub(super) fn listen(lanes: &mut [Lane], time: Duration) {
    if !time.is_zero() {
        let open = lanes.iter().filter(|lane| lane.is_open());
        let mut sockets: Vec<_> =
            open.map(|lane| PollFd::new(lane.sender.socket.as_fd(), PollFlags::POLLIN)).collect();
        // A sleep that fails is a short one: whoever sleeps looks at the clock.
        let _ = ppoll(&mut sockets, Some(TimeSpec::from_duration(time.min(LONGEST_SLEEP))), None);
    }
    lanes.iter_mut().for_each(Lane::hear);
}

/// How many timed questions a socket can have open: twice as many as are asked while one may stay open, or nothing
/// where the load has no GETs.
fn slots(plan: &LoadPlan<'_>) -> Option<u16> {
    let LoadPlan { load, config, deal, .. } = plan;
    let gets = |packets: f64| {
        packets * f64::from(100 - load.invalid_share.get()) / 100.0 * f64::from(load.get_share.get()) / 100.0
    };
    let most = f64::from(MAX_SLOTS).min(gets(load.packets as f64).ceil());
    let wanted = config.pacing.map_or(f64::from(MAX_SLOTS) / 4.0, |pacing| {
        let a_second = gets(pacing.rate.get()) / f64::from(deal.sockets.get());
        (2.0 * a_second * config.get.timeout.as_secs_f64()).clamp(64.0, f64::from(MAX_SLOTS))
    });
    (most > 0.0).then(|| wanted.min(most).ceil() as u16)
}
