//! The load engine: threads that send a load on schedule and hear the replies between two sends.

use std::{
    sync::{
        Barrier, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use super::{
    ClientConfig, ClientError,
    deal::Load,
    lane::{self, Lane},
    pace::{Pacing, Schedule},
    pin,
    plan::LoadPlan,
    record::{Lag, REPORT_EVERY, Reporter},
    replies::Questions,
    totals::{Totals, join},
    wait,
};
use crate::{Cost, Moment, client::ThreadRecord, monotonic_now, sleep::PunctualSleep};

/// How long after its time a load may still send what was due in time: the last packets are no less wanted than those
/// before, and a wake-up that comes late must not cost them.
const GRACE: Duration = Duration::from_millis(10);

/// Moments between two looks for replies while the sender is behind its schedule.
const MOMENTS_A_LOOK: u32 = 16;

/// Sends `load` from all sockets and threads that `config` names.
pub(super) fn run(
    load: &Load,
    config: &ClientConfig,
    reporter: &mut Reporter<'_>,
) -> Result<Totals, ClientError> {
    let plan = LoadPlan::new(load, config);
    pin::check(&config.pin)?;
    let mut totals = Totals::default();
    let workers = workers(&plan, &mut totals)?;
    let (gate, done) = (Gate::new(workers.len()), AtomicU64::new(0));
    let before = reporter.done.sent;
    let outcomes: Vec<Totals> = thread::scope(|scope| {
        let main = thread::current();
        let threads: Vec<_> = workers
            .into_iter()
            .map(|worker| {
                let signal = DoneSignal { packets: &done, main: main.clone() };
                scope.spawn(|| worker.run(&gate, signal))
            })
            .collect();
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::park_timeout(REPORT_EVERY);
            reporter.done.sent = before + done.load(Ordering::Relaxed);
            reporter.tell();
        }
        threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect()
    });
    outcomes.into_iter().for_each(|outcome| totals += outcome);
    Ok(totals)
}

/// The threads' halves of the work, sockets open and keys prepared.
fn workers<'a>(plan: &'a LoadPlan<'a>, totals: &mut Totals) -> Result<Vec<SendingThread<'a>>, ClientError> {
    let mut workers = Vec::new();
    for number in 0..plan.config.fan.threads().get() {
        let mut lanes = Vec::new();
        for socket in plan.sockets_of(number) {
            let lane = Lane::open(plan, socket)?;
            if let Some(questions) = &lane.questions {
                let prepared = super::prepare::keys(questions.keys, plan.config)?;
                totals.prepared += prepared.sent;
                totals.record += prepared;
            }
            lanes.push(lane);
        }
        workers.push(SendingThread::new(plan, number, lanes));
    }
    Ok(workers)
}

/// Where threads wait for each other, so that they agree on when the run begins.
struct Gate {
    barrier: Barrier,
    start: OnceLock<Moment>,
}

impl Gate {
    fn new(threads: usize) -> Self {
        Self { barrier: Barrier::new(threads), start: OnceLock::new() }
    }

    /// The start of the run: late enough for every thread to be back from waiting.
    fn pass(&self) -> Moment {
        self.barrier.wait();
        *self.start.get_or_init(|| monotonic_now() + Duration::from_micros(500))
    }
}

/// Where a worker tells how far it has come, and that it is done.
struct DoneSignal<'a> {
    packets: &'a AtomicU64,
    main: Thread,
}

/// A sending thread.
struct SendingThread<'a> {
    plan: &'a LoadPlan<'a>,
    number: u32,
    lanes: Vec<Lane>,
    lag: Option<Lag>,
    attempted: u64,
    unsent: u64,
    until_look: u32,
}

impl<'a> SendingThread<'a> {
    fn new(plan: &'a LoadPlan<'a>, number: u32, lanes: Vec<Lane>) -> Self {
        let lag = plan.config.pacing.map(|_| Lag::new());
        Self { plan, number, lanes, lag, attempted: 0, unsent: 0, until_look: MOMENTS_A_LOOK }
    }

    fn run(mut self, gate: &Gate, done: DoneSignal<'_>) -> Totals {
        let cpu = pin::this_thread(&self.plan.config.pin, self.number);
        let _punctual = PunctualSleep::new();
        let cost = Cost::of_this_thread();
        let start = gate.pass();
        self.send_all(start, &done);
        self.listen_on();
        let cost = Cost::of_this_thread() - cost;
        done.main.unpark();
        self.totals(cpu, cost)
    }

    fn send_all(&mut self, start: Moment, done: &DoneSignal<'_>) {
        let LoadPlan { load, config, deal, .. } = self.plan;
        let threads = u64::from(config.fan.threads().get());
        let mut due = config.pacing.map(|pacing| own_moments(pacing, config, self.number, load.duration));
        let closes =
            load.duration.map(|duration| start + duration + config.pacing.map_or(Duration::ZERO, |_| GRACE));
        let mut closed = false;
        for moment in (u64::from(self.number)..deal.moments()).step_by(threads as usize) {
            let due = match &mut due {
                Some(due) => match due.next() {
                    Some(due) => Some(start + due),
                    None => break,
                },
                None => None,
            };
            if !closed {
                let Some(now) = self.wait_until(due.unwrap_or(start)) else { break };
                closed = closes.is_some_and(|closes| now >= closes);
                if !closed {
                    self.send_moment(moment, due, now);
                    done.packets.fetch_add(deal.packets_of(moment), Ordering::Relaxed);
                    continue;
                }
            }
            if due.is_none() {
                break;
            }
            self.unsent += deal.packets_of(moment);
        }
        let now = monotonic_now();
        for lane in &mut self.lanes {
            lane.record.end(now);
        }
    }

    fn wait_until(&mut self, due: Moment) -> Option<Moment> {
        let now = wait::until(due, &self.plan.config.halt, |time| lane::listen(&mut self.lanes, time));
        // Behind schedule there is no wait to hear replies in.
        self.until_look -= 1;
        if self.until_look == 0 {
            self.until_look = MOMENTS_A_LOOK;
            self.lanes.iter_mut().for_each(Lane::hear);
        }
        now
    }

    fn send_moment(&mut self, moment: u64, due: Option<Moment>, now: Moment) {
        let LoadPlan { load, config, deal, runs } = self.plan;
        let packets = deal.packets_of(moment);
        if let (Some(lag), Some(due)) = (&mut self.lag, due) {
            lag.add(due, now, packets);
        }
        let threads = u64::from(config.fan.threads().get());
        let own = (moment % u64::from(deal.sockets.get()) / threads) as usize;
        self.lanes[own].send(load, runs, packets, due.unwrap_or(now), now);
        self.attempted += packets;
    }

    /// Hears replies until none is open or the last question has waited as long as the first ones could.
    fn listen_on(&mut self) {
        let deadline = monotonic_now() + self.plan.config.get.timeout;
        while self.lanes.iter().any(Lane::is_open) && monotonic_now() < deadline {
            lane::listen(&mut self.lanes, deadline.since(monotonic_now()));
        }
    }

    fn totals(self, cpu: Option<usize>, cost: Cost) -> Totals {
        let mut totals = Totals {
            intended: self.attempted + self.unsent,
            unsent: self.unsent,
            lag: self.lag,
            ..Totals::default()
        };
        let sockets = self.lanes.len() as u32;
        for Lane { sender, record, questions, .. } in self.lanes {
            totals.unreachable += sender.unreachable;
            totals.segmented |= sender.segmented;
            totals.fell_back |= sender.fell_back;
            totals.record += record;
            join(&mut totals.replies, questions.map(Questions::finish));
        }
        let sent = totals.record.sent.total();
        totals.threads.push(ThreadRecord { cpu, sockets, sent, cost });
        totals
    }
}

/// The moments of thread `number` that lie within `duration`, as time from the start.
fn own_moments(
    pacing: Pacing,
    config: &ClientConfig,
    number: u32,
    duration: Option<Duration>,
) -> impl Iterator<Item = Duration> + use<> {
    Schedule::new(pacing, config.seed.unwrap_or_default())
        .skip(number as usize)
        .step_by(config.fan.threads().get() as usize)
        .take_while(move |&due| duration.is_none_or(|duration| due < duration))
}
