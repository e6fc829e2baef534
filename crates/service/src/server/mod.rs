//! The bag server: a socket, the loop that serves it, and the record that the loop leaves.

mod allow_stop;
mod error;
mod handler;
mod inside;
mod io;
mod known_keys;
mod serve;
mod stop;
mod verbose;

pub use allow_stop::AllowStop;
pub use error::ServerError;
pub use inside::Inside;
pub use stop::StopHandle;

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use weir_filters::Filter;
use weir_wire::DEFAULT_CAPACITY;

use crate::{Cost, Io, LoopRecord, Monotonic, cost, sys};
use handler::Handler;
use io::{BatchIo, DatagramIo, SimpleIo};
use stop::Shared;

/// How a server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Most keys that the bag holds.
    pub capacity: usize,
    /// How datagrams are read and replies written.
    pub io: Io,
    /// Whose STOP is obeyed.
    pub allow_stop: AllowStop,
    /// Decides each datagram in the loop, before it is parsed (hook `user`).
    pub filter: Option<Filter>,
    /// Size of the receive buffer, bytes; the kernel's default where nothing is said.
    pub receive_buffer: Option<usize>,
    /// Say on stderr what each request was and what became of it.
    pub verbose: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            io: Io::default(),
            allow_stop: AllowStop::default(),
            filter: None,
            receive_buffer: None,
            verbose: false,
        }
    }
}

/// A bag server: opened, then listening, then run.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    handler: Arc<Mutex<Handler>>,
    local_addr: SocketAddr,
    config: ServerConfig,
    /// Packets that were dropped before any was let in.
    held_out: u64,
}

impl Server {
    /// Makes the socket for `addr`, which nothing can reach before [`Self::listen`]: the moment to attach a filter
    /// to it, so that no packet goes by unjudged.
    pub fn open(addr: SocketAddr, config: ServerConfig) -> Result<Self, ServerError> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)
            .map_err(|cause| ServerError::bind(addr, cause))?;
        if let Some(bytes) = config.receive_buffer {
            grow_receive_buffer(&socket, bytes).map_err(|cause| ServerError::Buffer {
                addr,
                bytes,
                cause,
            })?;
        }
        let handler = Arc::new(Mutex::new(Handler::new(&config)));
        Ok(Self {
            shared: Arc::new(Shared::new(socket.into())),
            handler,
            local_addr: addr,
            config,
            held_out: 0,
        })
    }

    /// Binds the address; port 0 takes a free one. What arrives from now on waits in the receive buffer.
    pub fn listen(&mut self) -> Result<SocketAddr, ServerError> {
        let addr = self.local_addr;
        let socket = &self.shared.socket;
        SockRef::from(&**socket).bind(&addr.into()).map_err(|cause| ServerError::bind(addr, cause))?;
        self.local_addr = socket.local_addr().map_err(|cause| ServerError::bind(addr, cause))?;
        Ok(self.local_addr)
    }

    /// Lets others listen on the port that this one will, and the kernel pick one of them for each packet.
    pub fn share_port(&self) -> Result<(), ServerError> {
        let failed = |cause| self.unset("SO_REUSEPORT", cause);
        SockRef::from(&*self.shared.socket).set_reuse_port(true).map_err(failed)
    }

    /// Keeps every packet out until [`Self::release`]: for programs that can be attached only when the port is known.
    pub fn hold(&self) -> Result<(), ServerError> {
        // BPF_RET | BPF_K: keep no byte (linux/bpf_common.h).
        let drop_all = SockFilter::new(0x06, 0, 0, 0);
        let failed = |cause| self.unset("SO_ATTACH_FILTER", cause);
        SockRef::from(&*self.shared.socket).attach_filter(&[drop_all]).map_err(failed)
    }

    /// Lets packets in; those that were kept out until now aren't counted as the socket's drops.
    pub fn release(&mut self) -> Result<(), ServerError> {
        let failed = |cause| self.unset("SO_DETACH_FILTER", cause);
        SockRef::from(&*self.shared.socket).detach_filter().map_err(failed)?;
        self.held_out = self.socket_drops()?;
        Ok(())
    }

    /// Opens and listens in one.
    pub fn bind(addr: SocketAddr, config: ServerConfig) -> Result<Self, ServerError> {
        let mut server = Self::open(addr, config)?;
        server.listen()?;
        Ok(server)
    }

    /// The socket: what a BPF program is attached to.
    pub fn socket(&self) -> Arc<UdpSocket> {
        Arc::clone(&self.shared.socket)
    }

    /// The address it listens on, with the port that was taken; before [`Self::listen`] the one asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What of it may be changed from another thread while it serves.
    pub fn inside(&self) -> Inside {
        Inside::new(Arc::clone(&self.handler))
    }

    /// What ends the loop from another thread.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle::new(&self.shared)
    }

    /// Serves, with an empty bag the first time, until a STOP request or the stop handle ends it.
    ///
    /// # Errors
    /// The socket can't be read any more or doesn't answer for its counters. A datagram, whatever it holds, is no
    /// error, and neither is a reply that can't be sent.
    pub fn run(&self) -> Result<LoopRecord, ServerError> {
        match self.config.io {
            Io::Batch => self.serve(BatchIo::new(&self.shared.socket)),
            Io::Simple => self.serve(SimpleIo::new(&self.shared.socket)),
        }
    }

    fn serve(&self, mut io: impl DatagramIo) -> Result<LoopRecord, ServerError> {
        let receive_buffer = self.receive_buffer()?;
        let ready_rss_kib =
            cost::resident_kib().map_err(|cause| self.unreadable("its resident set", cause))?;
        let ready_cost = Cost::of_this_process();
        let ready_at = Monotonic::now();

        let end = serve::until_ended(&mut io, &self.handler, &self.shared)
            .map_err(|cause| self.unreadable("the next datagram", cause))?;
        let unread = end.rest_of_batch + serve::drain(&self.shared.socket, receive_buffer);

        let handler = self.handler.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(LoopRecord {
            listen: self.local_addr,
            io: self.config.io,
            ended_by: end.by,
            requests: handler.requests,
            bytes: handler.bytes,
            replies: end.replies,
            unread,
            socket_drops: self.socket_drops()? - self.held_out,
            receive_buffer,
            ready_at,
            first_read_at: end.first_read_at,
            last_handled_at: end.last_handled_at,
            last_load_at: end.last_load_at,
            ready_rss_kib,
            cost: Cost::of_this_process() - ready_cost,
        })
    }

    fn socket_drops(&self) -> Result<u64, ServerError> {
        let drops = sys::socket_drops(&*self.shared.socket);
        drops.map_err(|cause| self.unreadable("its drop count (SO_MEMINFO)", cause))
    }

    fn receive_buffer(&self) -> Result<u64, ServerError> {
        SockRef::from(&*self.shared.socket)
            .recv_buffer_size()
            .map(|bytes| bytes as u64)
            .map_err(|cause| self.unreadable("its buffer size (SO_RCVBUF)", cause))
    }

    fn unset(&self, option: &'static str, cause: std::io::Error) -> ServerError {
        ServerError::Option { option, addr: self.local_addr, cause }
    }

    fn unreadable(&self, what: &'static str, cause: std::io::Error) -> ServerError {
        ServerError::Read { what, addr: self.local_addr, cause }
    }
}

/// `SO_RCVBUFFORCE` goes past `net.core.rmem_max` for who has CAP_NET_ADMIN; everybody else gets an error rather than
/// silently less (socket(7)). The kernel doubles the number and takes its own bookkeeping out of that.
fn grow_receive_buffer(socket: &Socket, bytes: usize) -> std::io::Result<()> {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_ok() {
        return Ok(());
    }
    socket.set_recv_buffer_size(bytes)?;
    if socket.recv_buffer_size()? < bytes { Err(std::io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}
