//! The thread that listens at the control socket, and one for each client.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    marker::PhantomData,
    mem,
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{ControlError, Reply, path::SocketFile};
use crate::side_thread::{SideThread, Stopped};
use nix::{
    poll::PollTimeout,
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::geteuid,
};
use serde::de::DeserializeOwned;

/// What answers at a control socket.
pub trait Answers: Send + Sync + 'static {
    /// What it may be asked for, as an object whose `request` names it.
    type Request: DeserializeOwned + Send;

    /// Answers a request; others wait meanwhile.
    fn answer(&self, request: Self::Request) -> Reply;

    /// Called every second or so.
    fn tick(&self) {}
}

/// How often [`Answers::tick`] is called.
const TICK: Duration = Duration::from_secs(1);

/// Clients at a time.
const MOST_CLIENTS: usize = 8;

/// Length of a request, bytes: what is done for it takes a few milliseconds, for which others wait.
pub(super) const MOST_BYTES: usize = 1 << 16;

/// How long a client may say nothing, or take nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A control socket that is listened at, until it is dropped.
pub struct Control {
    _thread: SideThread<()>,
    /// Removed when nobody listens at it any more.
    _file: SocketFile,
}

impl Control {
    /// Answers at `path` from now on, for this user and root.
    ///
    /// # Errors
    /// The path is somebody's, or nothing can listen there.
    pub fn start(path: &Path, answers: Arc<impl Answers>) -> Result<Self, ControlError> {
        ControlSocket::open(path)?.answered_by(answers)
    }
}

/// A control socket at which those who connect wait, until somebody answers them.
pub struct ControlSocket {
    path: PathBuf,
    file: SocketFile,
    listener: UnixListener,
}

impl ControlSocket {
    /// Makes it at `path`, for this user and root.
    ///
    /// # Errors
    /// The path is somebody's, or nothing can listen there.
    pub fn open(path: &Path) -> Result<Self, ControlError> {
        let (file, listener) = SocketFile::listen(path)?;
        Ok(Self { path: path.to_owned(), file, listener })
    }

    /// Answers from now on, in a thread with this one's capabilities.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn answered_by(self, answers: Arc<impl Answers>) -> Result<Control, ControlError> {
        let Self { path, file, listener } = self;
        let thread = SideThread::start("control", move |stopped| listen(&listener, &stopped, &answers));
        let thread = thread.map_err(|cause| ControlError::Listen { path, cause })?;
        Ok(Control { _thread: thread, _file: file })
    }
}

struct ControlClient {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

fn listen(listener: &UnixListener, stopped: &Stopped, answers: &Arc<impl Answers>) {
    let mut clients: Vec<ControlClient> = Vec::new();
    let mut ticked = Instant::now();
    let tick = PollTimeout::try_from(TICK).unwrap_or(PollTimeout::MAX);
    loop {
        let is_over = stopped.wait(listener, tick).unwrap_or_else(|_| {
            // What poll(2) has left is a lack of memory: it passes.
            thread::sleep(TICK);
            false
        });
        if is_over {
            break;
        }
        // Not for each client: a tick waits for the request that is answered.
        if ticked.elapsed() >= TICK {
            answers.tick();
            ticked = Instant::now();
        }
        clients.retain(|client| !client.thread.is_finished());
        while let Ok((stream, _)) = listener.accept() {
            clients.extend(admit(stream, clients.len(), answers));
        }
    }
    for ControlClient { stream, thread } in clients {
        let _ = stream.shutdown(Shutdown::Both);
        let _ = thread.join();
    }
}

/// A client that there is room for, and that may ask.
fn admit(stream: UnixStream, clients: usize, answers: &Arc<impl Answers>) -> Option<ControlClient> {
    let prepared = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    prepared.ok()?;
    if clients >= MOST_CLIENTS {
        let error = format!("{MOST_CLIENTS} clients are connected, which is the most; try again");
        reply(&stream, &Reply::Error { error });
        return None;
    }
    if let Err(error) = check_peer(&stream) {
        reply(&stream, &Reply::Error { error });
        return None;
    }
    let answers = Arc::clone(answers);
    let other = stream.try_clone().ok()?;
    let thread = thread::Builder::new().name("control-client".into());
    let thread = thread.spawn(move || serve(&other, &*answers)).ok()?;
    Some(ControlClient { stream, thread })
}

/// The file's mode keeps others out already; this holds where the file system doesn't keep modes.
fn check_peer(stream: &UnixStream) -> Result<(), String> {
    let peer = getsockopt(stream, PeerCredentials).map_err(|errno| format!("asking who you are: {errno}"))?;
    let own = geteuid().as_raw();
    if [0, own].contains(&peer.uid()) {
        return Ok(());
    }
    Err(format!("you are user {}; root and user {own}, whose server this is, may ask", peer.uid()))
}

/// Answers a client's requests in their order.
fn serve<A: Answers>(stream: &UnixStream, answers: &A) {
    let mut requests = Requests::<A::Request> {
        reader: BufReader::new(stream),
        line: Vec::new(),
        is_over: false,
        of: PhantomData,
    };
    while let Some(request) = requests.next(|| false) {
        if requests.has_more() {
            return serve_ahead(request, requests, answers);
        }
        if !answer(request, stream, answers) {
            return;
        }
    }
}

/// Answers a client that sends on before it is answered: another thread reads one request ahead. Two that read and answer in
/// turn would do without a channel, and took a fifth longer for a million prefixes: the list and the kernel's allocator are in
/// one CPU's cache.
fn serve_ahead<A: Answers>(first: Asked<A::Request>, mut requests: Requests<'_, A::Request>, answers: &A) {
    let stream = *requests.reader.get_ref();
    let is_answering = AtomicBool::new(true);
    thread::scope(|scope| {
        let (ahead, read) = mpsc::sync_channel(0);
        let is_answering = &is_answering;
        let read_all = move || {
            while let Some(request) = requests.next(|| is_answering.load(Ordering::Relaxed))
                && ahead.send(request).is_ok()
            {}
        };
        // Without room for a thread, the client finds the connection closed.
        let _ = thread::Builder::new().name("control-ahead".into()).spawn_scoped(scope, read_all);
        let mut next = Ok(first);
        while let Ok(request) = next
            && answer(request, stream, answers)
        {
            is_answering.store(false, Ordering::Relaxed);
            // Threads of other clients that wait for this CPU get it now, not at the end of a slice.
            thread::yield_now();
            next = read.recv();
            is_answering.store(true, Ordering::Relaxed);
        }
        // What would still be read nobody takes.
        let _ = stream.shutdown(Shutdown::Both);
        drop(read);
    });
}

/// A request, or why it is none.
type Asked<R> = Result<R, String>;

/// Whether the answer was sent.
fn answer<A: Answers>(request: Asked<A::Request>, stream: &UnixStream, answers: &A) -> bool {
    let said = match request {
        Ok(request) => answers.answer(request),
        Err(error) => Reply::Error { error },
    };
    reply(stream, &said)
}

/// What a client asks for.
struct Requests<'a, R> {
    reader: BufReader<&'a UnixStream>,
    /// What is read of the next one.
    line: Vec<u8>,
    is_over: bool,
    of: PhantomData<R>,
}

impl<R: DeserializeOwned> Requests<'_, R> {
    /// Whether the client has sent another already.
    fn has_more(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    /// The next request. There is none any more at the stream's end, behind one that is too long, and where a client that
    /// waits for no answer says nothing for [`PATIENCE`].
    fn next(&mut self, is_waiting: impl Fn() -> bool) -> Option<Asked<R>> {
        while !self.is_over {
            let room = (MOST_BYTES + 1 - self.line.len()) as u64;
            match (&mut self.reader).take(room).read_until(b'\n', &mut self.line) {
                Ok(read) if read > 0 => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && is_waiting() => continue,
                Ok(_) | Err(_) => break,
            }
            let line = mem::take(&mut self.line);
            if line.len() <= MOST_BYTES {
                return Some(serde_json::from_slice(&line).map_err(|error| format!("no request: {error}")));
            }
            self.is_over = true;
            let error =
                format!("a request of more than {MOST_BYTES} bytes; one JSON object a line is wanted");
            return Some(Err(error));
        }
        self.is_over = true;
        None
    }
}

/// Whether it was sent.
fn reply(mut stream: &UnixStream, reply: &Reply) -> bool {
    let Ok(mut line) = serde_json::to_vec(reply) else { return false };
    line.push(b'\n');
    stream.write_all(&line).is_ok()
}
