//! One worker of a server: a socket of its port, what the datagrams there are held to, and the loop that reads them.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};

use super::{
    ServerConfig, ServerError,
    handler::Handler,
    io::{BatchIo, DatagramIo, SimpleIo},
    serve::{self, LoopEnd},
    stop::StopState,
};
use crate::{Io, WorkerRecord, shards::Shards, sys};

/// A socket and its rules.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) shared: Arc<StopState>,
    pub(super) handler: Arc<Mutex<Handler>>,
    addr: SocketAddr,
    /// Packets that were dropped before any was let in.
    held_out: u64,
}

/// What a worker did, and how it ended.
pub(super) struct WorkerDone {
    pub(super) end: LoopEnd,
    pub(super) record: WorkerRecord,
}

impl Worker {
    pub(super) fn open(addr: SocketAddr, config: &ServerConfig) -> Result<Self, ServerError> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)
            .map_err(|cause| ServerError::Bind { addr, cause })?;
        if let Some(bytes) = config.receive_buffer {
            let grown = grow_receive_buffer(&socket, bytes);
            grown.map_err(|cause| ServerError::Buffer { addr, bytes, cause })?;
        }
        let handler = Arc::new(Mutex::new(Handler::new(config)));
        Ok(Self { shared: Arc::new(StopState::new(socket.into())), handler, addr, held_out: 0 })
    }

    pub(super) fn socket(&self) -> &Arc<UdpSocket> {
        &self.shared.socket
    }

    /// Binds the address, and gives it with the port that was taken.
    pub(super) fn listen(&mut self, addr: SocketAddr) -> Result<SocketAddr, ServerError> {
        let failed = |cause| ServerError::Bind { addr, cause };
        SockRef::from(&**self.socket()).bind(&addr.into()).map_err(failed)?;
        self.addr = self.socket().local_addr().map_err(failed)?;
        Ok(self.addr)
    }

    pub(super) fn share_port(&self) -> Result<(), ServerError> {
        let failed = |cause| self.failed("setsockopt SO_REUSEPORT", cause);
        SockRef::from(&**self.socket()).set_reuse_port(true).map_err(failed)
    }

    pub(super) fn hold(&self) -> Result<(), ServerError> {
        // BPF_RET | BPF_K: keep no byte (linux/bpf_common.h).
        let drop_all = SockFilter::new(0x06, 0, 0, 0);
        let failed = |cause| self.failed("setsockopt SO_ATTACH_FILTER", cause);
        SockRef::from(&**self.socket()).attach_filter(&[drop_all]).map_err(failed)
    }

    pub(super) fn release(&mut self) -> Result<(), ServerError> {
        let failed = |cause| self.failed("setsockopt SO_DETACH_FILTER", cause);
        SockRef::from(&**self.socket()).detach_filter().map_err(failed)?;
        self.released()
    }

    pub(super) fn released(&mut self) -> Result<(), ServerError> {
        self.held_out = self.socket_drops()?;
        Ok(())
    }

    /// Serves until a STOP request or the stop handle ends it.
    pub(super) fn serve(&self, shards: &Shards, config: &ServerConfig) -> Result<WorkerDone, ServerError> {
        match config.io {
            Io::Batch => {
                let io = BatchIo::new(self.socket(), config.moderation);
                let io = io.map_err(|cause| self.failed("reading its memory (SO_MEMINFO)", cause))?;
                self.serve_by(io, shards)
            }
            Io::Simple => self.serve_by(SimpleIo::new(self.socket()), shards),
        }
    }

    fn serve_by(&self, mut io: impl DatagramIo, shards: &Shards) -> Result<WorkerDone, ServerError> {
        let receive_buffer = self.receive_buffer()?;
        let end = serve::until_ended(&mut io, &self.handler, shards, &self.shared)
            .map_err(|cause| self.failed("reading the next datagram", cause))?;
        let unread = end.rest_of_batch + serve::drain(self.socket(), receive_buffer);
        let handler = self.handler.lock().unwrap_or_else(PoisonError::into_inner);
        let record = WorkerRecord {
            requests: handler.requests,
            bytes: handler.bytes,
            replies: end.replies,
            naps: io.naps(),
            unread,
            socket_drops: self.socket_drops()? - self.held_out,
        };
        Ok(WorkerDone { end, record })
    }

    /// Size of the receive buffer, bytes, as the kernel accounts it.
    pub(super) fn receive_buffer(&self) -> Result<u64, ServerError> {
        SockRef::from(&**self.socket())
            .recv_buffer_size()
            .map(|bytes| bytes as u64)
            .map_err(|cause| self.failed("reading its buffer size (SO_RCVBUF)", cause))
    }

    fn socket_drops(&self) -> Result<u64, ServerError> {
        let drops = sys::socket_drops(&**self.socket());
        drops.map_err(|cause| self.failed("reading its drop count (SO_MEMINFO)", cause))
    }

    fn failed(&self, tried: &'static str, cause: io::Error) -> ServerError {
        ServerError::Socket { tried, addr: self.addr, cause }
    }
}

/// `SO_RCVBUFFORCE` goes past `net.core.rmem_max` for who has CAP_NET_ADMIN; everybody else gets an error rather than
/// silently less (socket(7)). The kernel doubles the number and takes its own bookkeeping out of that.
fn grow_receive_buffer(socket: &Socket, bytes: usize) -> io::Result<()> {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_ok() {
        return Ok(());
    }
    socket.set_recv_buffer_size(bytes)?;
    if socket.recv_buffer_size()? < bytes { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}
