//! A server in a thread of the test, and a socket that talks to it.

use std::{
    net::{SocketAddr, UdpSocket},
    thread::{self, JoinHandle},
    time::Duration,
};

use weir_service::{AllowStop, EndedBy, Io, LoopRecord, Server, ServerConfig, ServerError, StopHandle};
use weir_wire::Request;

/// Both ways of reading.
pub(crate) const BOTH: [Io; 2] = [Io::Batch, Io::Simple];

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that serves on a free port until it is told to end.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) stop: StopHandle,
    thread: JoinHandle<Result<LoopRecord, ServerError>>,
}

impl Running {
    pub(crate) fn start(config: ServerConfig) -> Self {
        Self::start_at("127.0.0.1:0", config)
    }

    pub(crate) fn start_at(addr: &str, config: ServerConfig) -> Self {
        let server = Server::bind(addr.parse().unwrap(), config).unwrap();
        let (addr, stop) = (server.local_addr(), server.stop_handle());
        Self { addr, stop, thread: thread::spawn(move || server.run()) }
    }

    /// Sends a STOP and waits for the record.
    pub(crate) fn end(self) -> LoopRecord {
        Peer::of(self.addr).send(&Request::Stop.to_bytes());
        let record = self.join();
        assert_eq!(record.ended_by, EndedBy::Stop);
        record
    }

    pub(crate) fn join(self) -> LoopRecord {
        self.thread.join().unwrap().unwrap()
    }
}

/// A socket connected to a server.
pub(crate) struct Peer(UdpSocket);

impl Peer {
    pub(crate) fn of(server: SocketAddr) -> Self {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        assert_eq!(self.try_send(datagram).unwrap(), datagram.len());
    }

    pub(crate) fn try_send(&self, datagram: &[u8]) -> std::io::Result<usize> {
        self.0.send(datagram)
    }

    pub(crate) fn put(&self, key: u32, value: i64) {
        self.send(&Request::Put { key, value }.to_bytes());
    }

    pub(crate) fn delete(&self, key: u32) {
        self.send(&Request::Delete { key }.to_bytes());
    }

    /// Asks for a present key. Its reply says as well that the server has handled all that was sent before.
    pub(crate) fn get(&self, key: u32) -> String {
        self.send(&Request::Get { key }.to_bytes());
        self.reply()
    }

    pub(crate) fn reply(&self) -> String {
        let mut buffer = [0; 64];
        let len = self.0.recv(&mut buffer).expect("a reply");
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }
}

/// The default configuration with another way of reading.
pub(crate) fn config(io: Io) -> ServerConfig {
    ServerConfig { io, allow_stop: AllowStop::Loopback, ..ServerConfig::default() }
}
