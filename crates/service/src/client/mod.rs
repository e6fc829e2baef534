//! The load client: behaviours as data, and the engine that sends them.

mod ask;
mod behaviour;
mod error;
mod pace;
mod sender;
mod step;
mod tally;
mod workload;

pub use ask::GetPolicy;
pub use behaviour::Behaviour;
pub use error::ClientError;
pub use pace::PacketsPerSecond;
pub use step::{Payload, Step};
pub use tally::Progress;
pub use workload::{InvalidSize, MAX_PAYLOAD_LEN, Percent, Workload};

use std::{net::SocketAddr, time::Duration};

use weir_wire::Request;

use crate::{ClientSummary, Cost, GetOutcome, Io, Monotonic};
use ask::Answer;
use pace::Schedule;
use sender::{Run, Sender};
use step::Kind;
use tally::Tally;

/// How a client sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientConfig {
    /// The server's address.
    pub server: SocketAddr,
    /// How packets leave where no rate is asked for.
    pub io: Io,
    /// Open-loop rate; as fast as it goes where nothing is said. Paced packets leave one a send.
    pub rate: Option<PacketsPerSecond>,
    /// How GETs are asked.
    pub get: GetPolicy,
    /// Recorded with the run. No behaviour draws a random number.
    pub seed: Option<u64>,
}

impl ClientConfig {
    /// The defaults, towards `server`.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, io: Io::default(), rate: None, get: GetPolicy::default(), seed: None }
    }
}

/// Takes the steps one after the other, and says what was sent and answered.
///
/// `behaviour` is the name that goes into the record. `progress` is called some times a second while packets
/// leave. A reply that never came is no error here: [`ClientSummary::missing_replies`] counts those.
///
/// # Errors
/// The socket can't be opened or read, or the kernel refuses a packet in a way that it will refuse the next.
pub fn run(
    behaviour: &str,
    steps: &[Step],
    config: &ClientConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<ClientSummary, ClientError> {
    let cost = Cost::of_this_process();
    let mut engine = Engine {
        config,
        sender: Sender::new(config.server, config.io, config.rate.is_some())?,
        schedule: config.rate.map(Schedule::new),
        tally: Tally::new(steps, progress),
        gets: Vec::new(),
    };
    for step in steps {
        engine.take(step)?;
    }
    engine.look_for_late_error();
    Ok(engine.summary(behaviour, Cost::of_this_process() - cost))
}

struct Engine<'a> {
    config: &'a ClientConfig,
    sender: Sender,
    schedule: Option<Schedule>,
    tally: Tally<'a>,
    gets: Vec<GetOutcome>,
}

impl Engine<'_> {
    fn take(&mut self, step: &Step) -> Result<(), ClientError> {
        match *step {
            Step::Burst { payload, count } => self.send(payload.kind(), &payload.bytes(), count),
            Step::Stop => self.send(Kind::Stop, &Request::Stop.to_bytes(), 1),
            Step::Get { key, reply_expected } => {
                let outcome = self.ask(key, reply_expected)?;
                self.gets.push(outcome);
                Ok(())
            }
        }
    }

    fn send(&mut self, kind: Kind, payload: &[u8], count: u64) -> Result<(), ClientError> {
        let run = Run::new(payload, count);
        let mut left = count;
        while left > 0 {
            self.wait_until_due();
            self.tally.begin(kind);
            let sent = self.sender.send(&run, left)?;
            left -= sent.taken + sent.refused;
            self.tally.add(kind, sent, run.payload_len());
        }
        self.tally.end(kind);
        Ok(())
    }

    fn wait_until_due(&mut self) {
        if let Some(schedule) = &mut self.schedule {
            schedule.wait();
        }
    }

    fn ask(&mut self, key: u32, reply_expected: bool) -> Result<GetOutcome, ClientError> {
        let GetPolicy { timeout, attempts, silence } = self.config.get;
        let (timeout, attempts) = if reply_expected { (timeout, attempts) } else { (silence, 1) };
        let run = Run::new(&Request::Get { key }.to_bytes(), 1);
        let mut outcome = GetOutcome { key, reply_expected, reply: None, attempts: 0, latency_ns: None };
        self.wait_until_due();
        let asked_at = Monotonic::now();
        while outcome.attempts < attempts && outcome.reply.is_none() {
            outcome.attempts += 1;
            self.tally.begin(Kind::Get);
            let sent = self.sender.send(&run, 1)?;
            self.tally.add(Kind::Get, sent, run.payload_len());
            outcome.reply = self.await_count(timeout)?;
        }
        outcome.latency_ns = outcome.reply.map(|_| Monotonic::now().since(asked_at).as_nanos() as u64);
        Ok(outcome)
    }

    fn await_count(&mut self, timeout: Duration) -> Result<Option<i64>, ClientError> {
        let server = self.config.server;
        let answer = ask::await_count(self.sender.socket(), timeout)
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
        if let Ok(Some(error)) = self.sender.socket().take_error()
            && error.kind() == std::io::ErrorKind::ConnectionRefused
        {
            self.sender.unreachable += 1;
        }
    }

    fn summary(self, behaviour: &str, cost: Cost) -> ClientSummary {
        let tally = self.tally.finish();
        ClientSummary {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            behaviour: behaviour.to_owned(),
            server: self.config.server,
            io: self.config.io,
            gso: self.sender.segmented && !self.sender.fell_back,
            sent: tally.sent,
            bytes: tally.bytes,
            refused: self.sender.refused,
            unreachable: self.sender.unreachable,
            offered_rate: self.config.rate.map(PacketsPerSecond::get),
            achieved_rate: tally.achieved_rate(),
            first_sent_at: tally.first_sent_at,
            last_sent_at: tally.last_load_at,
            gets: self.gets,
            seed: self.config.seed,
            cost,
        }
    }
}
