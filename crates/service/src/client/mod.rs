//! The load client: behaviours as data, and the engine that sends them.

mod ask;
mod behaviour;
mod ceiling;
mod deal;
mod engine;
mod error;
mod fan;
mod halt;
mod lane;
mod load;
mod mix;
mod pace;
mod payload;
mod pin;
mod plan;
mod prepare;
mod record;
mod replies;
mod sender;
mod step;
mod totals;
mod wait;
mod workload;

pub use ask::GetPolicy;
pub use behaviour::Behaviour;
pub use ceiling::{Sink, ceiling};
pub use deal::Load;
pub use engine::run;
pub use error::ClientError;
pub use fan::Fan;
pub use halt::Halt;
pub use mix::Mixed;
pub use pace::{Pacing, PacketsPerSecond};
pub use payload::Payload;
pub use record::Progress;
pub use step::{Awaited, Step};
pub use workload::{InvalidSize, MAX_PAYLOAD_LEN, Percent, Workload};

use std::net::SocketAddr;

use weir_records::{Arrivals, ClientSummary, GetOutcome, PaceRecord, SentCounts, ThreadRecord};

use crate::Io;

/// How a client sends.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientConfig {
    /// The server's address.
    pub server: SocketAddr,
    /// How packets that go together leave.
    pub io: Io,
    /// The open-loop schedule; as fast as it goes where nothing is said.
    pub pacing: Option<Pacing>,
    /// How GETs are asked. Its timeout is also how long a GET of a load waits for its reply.
    pub get: GetPolicy,
    /// Decides Poisson arrivals and a random mix; 0 where nothing is said.
    pub seed: Option<u64>,
    /// Sockets and threads of a load.
    pub fan: Fan,
    /// CPUs that the threads of a load are confined to, in turn; anywhere if there are none.
    pub pin: Vec<usize>,
    /// Take what the sending kernel drops on the way out for sent, as a program does that asks for no errors
    /// (`IP_RECVERR`, ip(7)); else it is tried again for a while, and counted as refused.
    pub hide_refusals: bool,
    /// What ends it early.
    pub halt: Halt,
}

impl ClientConfig {
    /// The defaults, towards `server`.
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            io: Io::default(),
            pacing: None,
            get: GetPolicy::default(),
            seed: None,
            fan: Fan::default(),
            pin: Vec::new(),
            hide_refusals: false,
            halt: Halt::default(),
        }
    }
}
