//! The bag server: its sockets, the loops that serve them, and the record that they leave.

mod allow_stop;
mod error;
mod handled;
mod handler;
mod inside;
mod io;
mod known_keys;
mod moderator;
mod nap;
mod serve;
mod stop;
mod verbose;
mod worker;

pub use allow_stop::AllowStop;
pub use error::ServerError;
pub use inside::Inside;
pub use stop::StopHandle;

use std::{
    iter,
    net::{SocketAddr, UdpSocket},
    num::NonZeroUsize,
    sync::Arc,
    thread,
};

use weir_filters::Filter;
use weir_wire::DEFAULT_CAPACITY;

use crate::{
    Cost, EndedBy, Io, LoopRecord, Moderation, Moment, WorkerRecord, memory, monotonic_now, shards::Shards,
};
use stop::StopsOnDrop;
use worker::{Worker, WorkerDone};

/// How a server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Most keys that the bag holds.
    pub capacity: usize,
    /// How datagrams are read and replies written.
    pub io: Io,
    /// Whether reads in batches are moderated; with [`Io::Simple`] nothing is, whatever this says.
    pub moderation: Moderation,
    /// Whose STOP is obeyed.
    pub allow_stop: AllowStop,
    /// Decides each datagram in the loop, before it is parsed (hook `user`).
    pub filter: Option<Filter>,
    /// Size of the receive buffer, bytes; the kernel's default where nothing is said.
    pub receive_buffer: Option<usize>,
    /// Threads that serve, each at a socket of its own; several share the port. They serve one bag.
    pub workers: NonZeroUsize,
    /// Say on stderr what each request was and what became of it.
    pub verbose: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            io: Io::default(),
            moderation: Moderation::Auto,
            allow_stop: AllowStop::default(),
            filter: None,
            receive_buffer: None,
            workers: NonZeroUsize::MIN,
            verbose: false,
        }
    }
}

impl ServerConfig {
    /// How reads are moderated with this I/O.
    pub const fn moderation(&self) -> Moderation {
        match self.io {
            Io::Batch => self.moderation,
            Io::Simple => Moderation::Off,
        }
    }
}

/// A bag server: opened, then listening, then run.
#[derive(Debug)]
pub struct Server {
    workers: Vec<Worker>,
    shards: Arc<Shards>,
    local_addr: SocketAddr,
    config: ServerConfig,
}

impl Server {
    /// Makes the sockets for `addr`, which nothing can reach before [`Self::listen`]: the moment to attach a filter
    /// to them, so that no packet goes by unjudged.
    pub fn open(addr: SocketAddr, config: ServerConfig) -> Result<Self, ServerError> {
        let count = config.workers.get();
        let workers =
            iter::repeat_with(|| Worker::open(addr, &config)).take(count).collect::<Result<_, _>>()?;
        let shards = Arc::new(Shards::new(config.capacity, count));
        let server = Self { workers, shards, local_addr: addr, config };
        if count > 1 {
            server.share_port()?;
        }
        Ok(server)
    }

    /// Binds the address; port 0 takes a free one. What arrives from now on waits in the receive buffers.
    pub fn listen(&mut self) -> Result<SocketAddr, ServerError> {
        for worker in &mut self.workers {
            self.local_addr = worker.listen(self.local_addr)?;
        }
        Ok(self.local_addr)
    }

    /// Lets others listen on the port that this one will, and the kernel pick one of them for each packet.
    pub fn share_port(&self) -> Result<(), ServerError> {
        self.workers.iter().try_for_each(Worker::share_port)
    }

    /// Keeps every packet out until [`Self::release`]: for programs that can be attached only when the port is known.
    pub fn hold(&self) -> Result<(), ServerError> {
        self.workers.iter().try_for_each(Worker::hold)
    }

    /// Lets packets in; those that were kept out until now aren't counted as the sockets' drops.
    pub fn release(&mut self) -> Result<(), ServerError> {
        self.workers.iter_mut().try_for_each(Worker::release)
    }

    /// Says that something else has taken the place of what kept packets out ([`Self::hold`]) at every worker's socket.
    pub(crate) fn released(&mut self) -> Result<(), ServerError> {
        self.workers.iter_mut().try_for_each(Worker::released)
    }

    /// Opens and listens in one.
    pub fn bind(addr: SocketAddr, config: ServerConfig) -> Result<Self, ServerError> {
        let mut server = Self::open(addr, config)?;
        server.listen()?;
        Ok(server)
    }

    /// The first worker's socket: what a BPF program is attached to where one stands for all.
    pub fn socket(&self) -> Arc<UdpSocket> {
        Arc::clone(self.first().socket())
    }

    /// Every worker's socket, in their order.
    pub fn sockets(&self) -> Vec<Arc<UdpSocket>> {
        self.workers.iter().map(|worker| Arc::clone(worker.socket())).collect()
    }

    /// The address it listens on, with the port that was taken; before [`Self::listen`] the one asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What of it may be changed from another thread while it serves.
    pub fn inside(&self) -> Inside {
        let handlers = self.workers.iter().map(|worker| Arc::clone(&worker.handler)).collect();
        Inside { handlers, shards: Arc::clone(&self.shards) }
    }

    /// What ends the loops from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle::new(self.workers.iter().map(|worker| &worker.shared))
    }

    /// Serves, with an empty bag the first time, until a STOP request or the stop handle ends it.
    ///
    /// # Errors
    /// A socket can't be read any more or doesn't answer for its counters, or a worker's thread can't be made. A datagram,
    /// whatever it holds, is no error, and neither is a reply that can't be sent.
    pub fn run(&self) -> Result<LoopRecord, ServerError> {
        let first = self.first();
        let receive_buffer = first.receive_buffer()?;
        let ready_rss_kib = memory::resident_kib().ok();
        let ready_cost = Cost::of_this_process();
        let ready_at = monotonic_now();
        let done = self.serve()?;

        let moments = |of: fn(&WorkerDone) -> Option<Moment>| done.iter().filter_map(of);
        let is_stopped = done.iter().any(|done| done.end.by == EndedBy::Stop);
        let total: WorkerRecord = done.iter().map(|done| done.record).sum();
        Ok(LoopRecord {
            listen: self.local_addr,
            io: self.config.io,
            moderation: self.config.moderation(),
            ended_by: if is_stopped { EndedBy::Stop } else { EndedBy::Signal },
            requests: total.requests,
            bytes: total.bytes,
            replies: total.replies,
            naps: total.naps,
            unread: total.unread,
            socket_drops: total.socket_drops,
            receive_buffer,
            ready_at,
            first_read_at: moments(|done| done.end.first_read_at).min(),
            last_handled_at: moments(|done| done.end.last_handled_at).max(),
            last_load_at: moments(|done| done.end.last_load_at).max(),
            ready_rss_kib,
            cost: Cost::of_this_process() - ready_cost,
            workers: if done.len() > 1 { done.iter().map(|done| done.record).collect() } else { Vec::new() },
        })
    }

    /// The first worker serves on this thread.
    fn serve(&self) -> Result<Vec<WorkerDone>, ServerError> {
        let Self { shards, config, .. } = self;
        let [first, others @ ..] = &*self.workers else { unreachable!("there is one at least") };
        if others.is_empty() {
            return first.serve(shards, config).map(|done| vec![done]);
        }
        let serve = |worker: &Worker| {
            let _others_end_too = StopsOnDrop(self.stop_handle());
            worker.serve(shards, config)
        };
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for (number, worker) in (1..).zip(others) {
                let thread = thread::Builder::new().name(format!("worker-{number}"));
                match thread.spawn_scoped(scope, move || serve(worker)) {
                    Ok(thread) => threads.push(thread),
                    Err(cause) => {
                        self.stop_handle().stop();
                        return Err(ServerError::Worker { number, addr: self.local_addr, cause });
                    }
                }
            }
            let first = serve(first);
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            iter::once(first).chain(threads.into_iter().map(join)).collect()
        })
    }

    fn first(&self) -> &Worker {
        &self.workers[0]
    }
}
