//! The engine: takes a behaviour's steps one after the other, and sums up what came of them.

use std::{thread, time::Duration};

use weir_wire::Request;

use super::{
    ClientConfig, ClientError, ClientSummary, GetOutcome, GetPolicy, Mixed, Progress, Step,
    ask::{self, Answer},
    load,
    pace::Schedule,
    payload::PayloadKind,
    record::{Lag, Reporter, SendPurpose},
    sender::{PacketRuns, Run, Sender, Zeal},
    step::Awaited,
    totals::Totals,
    wait,
};
use crate::{Cost, Moment, monotonic_now, sleep::PunctualSleep};

/// Takes the steps one after the other, and says what was sent and answered.
///
/// `behaviour` is the name that goes into the record. `progress` is called some times a second while packets
/// leave. A reply that never came is no error here: [`ClientSummary::missing_replies`] counts those. Neither is a packet
/// of an open loop that the kernel refuses: [`ClientSummary::refused_by`] counts those.
///
/// # Errors
/// The socket can't be opened or read, a load's keys can't be made ready, or the kernel refuses a packet that is no part
/// of an open loop in a way that it will refuse the next.
pub fn run(
    behaviour: &str,
    steps: &[Step],
    config: &ClientConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<ClientSummary, ClientError> {
    let cost = Cost::of_this_process();
    let _punctual = config.pacing.map(|_| PunctualSleep::new());
    let mut engine = Engine {
        config,
        sender: Sender::new(config.server, config.io, config.hide_refusals)?,
        pace: config.pacing.map(|pacing| Pace {
            start: None,
            schedule: Schedule::new(pacing, config.seed.unwrap_or_default()),
            base: Duration::ZERO,
            burst: pacing.burst.get().into(),
            moment: None,
        }),
        reporter: Reporter::new(
            steps.iter().fold(0_u64, |sum, step| sum.saturating_add(step.packets())),
            progress,
        ),
        all: Totals { lag: config.pacing.map(|_| Lag::new()), ..Totals::default() },
        gets: Vec::new(),
    };
    for step in steps {
        if config.halt.is_asked() {
            break;
        }
        engine.take(step)?;
    }
    engine.look_for_late_error();
    let summary = engine.summary(behaviour, Cost::of_this_process() - cost);
    Ok(ClientSummary { mix: steps.iter().find_map(Step::mix), ..summary })
}

struct Engine<'a> {
    config: &'a ClientConfig,
    sender: Sender,
    pace: Option<Pace>,
    reporter: Reporter<'a>,
    all: Totals,
    gets: Vec<GetOutcome>,
}

/// The schedule of bursts. It begins anew after a question, whose answer takes a time that is not the schedule's.
struct Pace {
    /// When the bursts since the last question began; nothing before the first.
    start: Option<Moment>,
    schedule: Schedule,
    /// The schedule's moment that `start` stands for.
    base: Duration,
    burst: u64,
    /// When the last moment was due, and how many packets of it have not been taken yet.
    moment: Option<(Moment, u64)>,
}

impl Pace {
    /// When the next packets are due, and how many of `wanted` that are equal: a moment has a whole burst, whatever it is
    /// made of.
    fn next(&mut self, wanted: u64) -> (Moment, u64) {
        let (due, left) = match self.moment {
            Some((due, left)) if left > 0 => (due, left),
            _ => (self.next_moment(), self.burst),
        };
        let packets = wanted.min(left);
        self.moment = Some((due, left - packets));
        (due, packets)
    }

    fn next_moment(&mut self) -> Moment {
        let offset = self.schedule.next().expect("a schedule has no end");
        if self.start.is_none() {
            self.base = offset;
        }
        let start = *self.start.get_or_insert_with(monotonic_now);
        start + (offset - self.base)
    }
}

impl Engine<'_> {
    fn take(&mut self, step: &Step) -> Result<(), ClientError> {
        match *step {
            Step::Burst { payload, count } => {
                self.send(payload.kind(), &Run::new(&payload.bytes(), count), count)?;
                self.all.record.end(monotonic_now());
                Ok(())
            }
            Step::Mixed(ref mixed) => self.send_mixed(mixed),
            Step::Load(load) => {
                self.all += load::run(&load, self.config, &mut self.reporter)?;
                Ok(())
            }
            Step::Stop => self.send_other(PayloadKind::Stop, &Request::Stop.to_bytes()),
            Step::Get { key, awaited } => {
                let outcome = self.ask(key, awaited)?;
                self.gets.push(outcome);
                Ok(())
            }
        }
    }

    /// Sends valid and invalid packets in their order; those of a kind that follow each other go together.
    fn send_mixed(&mut self, mixed: &Mixed) -> Result<(), ClientError> {
        let runs = PacketRuns::new(mixed.bad, mixed.packets());
        for (payload, count) in mixed.bursts(self.config.seed.unwrap_or_default()) {
            let kind = payload.kind();
            let run = if kind == PayloadKind::Invalid { &runs.invalid } else { &runs.valid };
            self.send(kind, run, count)?;
            if self.config.halt.is_asked() {
                break;
            }
        }
        self.all.record.end(monotonic_now());
        Ok(())
    }

    /// Sends `count` packets, on schedule where there is one.
    fn send(&mut self, kind: PayloadKind, run: &Run, count: u64) -> Result<(), ClientError> {
        let mut left = count;
        while left > 0 {
            let Some((now, packets, zeal)) = self.wait_for_turn(left) else { break };
            self.all.record.begin(SendPurpose::Load, now);
            left -= self.send_run((kind, SendPurpose::Load), run, packets, zeal)?;
        }
        self.all.intended += count - left;
        Ok(())
    }

    /// When packets leave, how many of `left`, and with what zeal; nothing where no more are to leave.
    fn wait_for_turn(&mut self, left: u64) -> Option<(Moment, u64, Zeal)> {
        let halt = &self.config.halt;
        let Some(pace) = &mut self.pace else {
            return (!halt.is_asked()).then(|| (monotonic_now(), left, Zeal::Insist));
        };
        let (due, packets) = pace.next(left);
        let now = wait::until(due, halt, thread::sleep)?;
        if let Some(lag) = &mut self.all.lag {
            lag.add(due, now, packets);
        }
        Some((now, packets, Zeal::Once))
    }

    /// Gives how many of them were dealt with: all, unless it is to halt.
    fn send_run(
        &mut self,
        (kind, purpose): (PayloadKind, SendPurpose),
        run: &Run,
        packets: u64,
        zeal: Zeal,
    ) -> Result<u64, ClientError> {
        let mut left = packets;
        while left > 0 {
            let sent = self.sender.send(run, left, zeal)?;
            left -= sent.packets();
            self.all.record.add(kind, purpose, sent, run.len);
            self.reporter.add(sent.packets());
            if self.config.halt.is_asked() {
                break;
            }
        }
        Ok(packets - left)
    }

    /// Sends what is no load: at once, and again if need be.
    fn send_other(&mut self, kind: PayloadKind, payload: &[u8]) -> Result<(), ClientError> {
        if let Some(pace) = &mut self.pace {
            (pace.start, pace.moment) = (None, None);
        }
        self.all.intended += 1;
        self.resend_other(kind, payload)
    }

    fn resend_other(&mut self, kind: PayloadKind, payload: &[u8]) -> Result<(), ClientError> {
        self.all.record.begin(SendPurpose::Other, monotonic_now());
        self.send_run((kind, SendPurpose::Other), &Run::new(payload, 1), 1, Zeal::Insist).map(drop)
    }

    fn ask(&mut self, key: u32, awaited: Awaited) -> Result<GetOutcome, ClientError> {
        let GetPolicy { timeout, attempts, silence } = self.config.get;
        let (timeout, attempts) = match awaited {
            Awaited::Reply | Awaited::Either => (timeout, attempts),
            Awaited::Silence => (silence, 1),
        };
        let payload = Request::Get { key }.to_bytes();
        let reply_expected = awaited == Awaited::Reply;
        let either = awaited == Awaited::Either;
        let mut outcome =
            GetOutcome { key, reply_expected, either, reply: None, attempts: 0, latency_ns: None };
        let asked_at = monotonic_now();
        let is_over = |outcome: &GetOutcome| outcome.attempts == attempts || outcome.reply.is_some();
        while !is_over(&outcome) && (outcome.attempts == 0 || !self.config.halt.is_asked()) {
            match outcome.attempts {
                0 => self.send_other(PayloadKind::Get, &payload)?,
                _ => self.resend_other(PayloadKind::Get, &payload)?,
            }
            outcome.attempts += 1;
            outcome.reply = self.await_count(timeout)?;
        }
        outcome.latency_ns = outcome.reply.map(|_| monotonic_now().since(asked_at).as_nanos() as u64);
        Ok(outcome)
    }

    fn await_count(&mut self, timeout: Duration) -> Result<Option<i64>, ClientError> {
        let server = self.config.server;
        let answer = ask::await_count(&self.sender.socket, timeout)
            .map_err(|cause| ClientError::Receive { server, cause })?;
        match answer {
            Answer::Count(count) => return Ok(Some(count)),
            Answer::Silence => {}
            Answer::PortClosed => self.sender.unreachable += 1,
        }
        // The reply may still come; at a fresh socket it can't be taken for the answer to a later question. The
        // first attempt keeps the socket of the packets before it, so that the network keeps their order.
        self.sender.reconnect()?;
        Ok(None)
    }

    /// The error that the last packet caused has no later send to come back with.
    fn look_for_late_error(&mut self) {
        if let Ok(Some(error)) = self.sender.socket.take_error()
            && error.kind() == std::io::ErrorKind::ConnectionRefused
        {
            self.sender.unreachable += 1;
        }
    }

    fn summary(mut self, behaviour: &str, cost: Cost) -> ClientSummary {
        self.reporter.tell();
        self.all.unreachable += self.sender.unreachable;
        self.all.segmented |= self.sender.segmented;
        self.all.fell_back |= self.sender.fell_back;
        self.all.summary(behaviour, self.config, self.gets, cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{PacketsPerSecond, pace::Pacing};

    #[test]
    fn a_moment_has_a_whole_burst_whatever_it_is_made_of() {
        let rate = PacketsPerSecond::new(1000.0).unwrap();
        let pacing = Pacing { burst: 4.try_into().unwrap(), ..Pacing::new(rate) };
        let schedule = Schedule::new(pacing, 0);
        let start = monotonic_now();
        let mut pace = Pace { start: Some(start), schedule, base: Duration::ZERO, burst: 4, moment: None };
        let due = |moment: u32| start + Duration::from_millis(4) * moment;
        assert_eq!(pace.next(1), (due(0), 1));
        assert_eq!(pace.next(2), (due(0), 2));
        assert_eq!(pace.next(9), (due(0), 1));
        assert_eq!(pace.next(8), (due(1), 4));
        assert_eq!(pace.next(4), (due(2), 4));
    }
}
