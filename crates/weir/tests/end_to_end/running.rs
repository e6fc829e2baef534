//! Running the binary: a server that is ready, commands that end, and what they said.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _},
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use weir_testing::{Ended, send, wait_until};

/// The binary under test.
pub(crate) fn weir(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Ended::from(weir(arguments).output().expect("the binary starts"))
}

/// A server that was ready; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    stderr: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts `weir serve` on a free loopback port and waits until it says that it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", arguments)
    }

    pub(crate) fn start_on(listen: &str, arguments: &[&str]) -> Self {
        Self::of(weir(&[&["serve", "--listen", listen], arguments].concat()))
    }

    /// Starts a command that serves, and waits until it says that it is ready.
    pub(crate) fn of(command: Command) -> Self {
        Self::try_of(command)
            .unwrap_or_else(|ended| panic!("the server ended before it was ready: {}", ended.stderr))
    }

    /// Starts a command that serves, and waits until it says that it is ready, or ends.
    pub(crate) fn try_of(mut command: Command) -> Result<Self, Ended> {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        while !said.contains("weir: ready") {
            let read = stderr.read_line(&mut said).expect("stderr is text");
            if read == 0 {
                let mut ended = Ended::from(child.wait_with_output().expect("it is our child"));
                ended.stderr = said;
                return Err(ended);
            }
        }
        let address = said.trim().rsplit(' ').next().expect("a line has a last word");
        let address = address.parse().unwrap_or_else(|_| panic!("no address in: {said}"));
        let reader = std::thread::spawn(move || {
            stderr.read_to_string(&mut said).expect("stderr is text");
            said
        });
        Ok(Self { child, address, stderr: Some(reader) })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// A connected socket with a reply timeout.
    pub(crate) fn socket(&self) -> UdpSocket {
        let local = if self.address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(local).expect("a free port");
        socket.connect(self.address).expect("UDP connects at once");
        socket
            .set_read_timeout(Some(weir_testing::patience(Duration::from_secs(2))))
            .expect("a timeout can be set");
        socket
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Ended {
        let mut status = None;
        wait_until("the server has ended", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        let mut stdout = String::new();
        self.child.stdout.take().expect("it is piped").read_to_string(&mut stdout).expect("stdout is text");
        let stderr = self.stderr.take().expect("not joined yet").join().expect("the reader doesn't panic");
        Ended { status: status.and_then(|status| status.code()), stdout, stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A reply to `payload`, or nothing within the socket's timeout.
pub(crate) fn ask(socket: &UdpSocket, payload: &[u8]) -> Option<String> {
    send(socket, payload);
    let mut buffer = [0; 64];
    loop {
        match socket.recv(&mut buffer) {
            Ok(len) => return Some(String::from_utf8_lossy(&buffer[..len]).into_owned()),
            // To an earlier datagram, which was dropped at a shared port.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}
