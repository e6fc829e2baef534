//! The thread that listens at the control socket, and two for each client: one reads, one answers.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Read as _, Write as _},
    net::Shutdown,
    os::{
        fd::AsFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::geteuid,
};

use super::{ControlError, Reply, Request, path::SocketFile};

/// What answers.
pub(crate) trait Answers: Send + Sync + 'static {
    /// Answers a request.
    fn answer(&self, request: Request) -> Reply;
    /// Called every [`TICK`] or so.
    fn tick(&self);
}

/// How often what is over is looked for.
const TICK: Duration = Duration::from_secs(1);

/// Clients at a time.
const MOST_CLIENTS: usize = 8;

/// Length of a request, bytes: what is done for it takes a few milliseconds, for which others wait.
pub(super) const MOST_BYTES: usize = 1 << 16;

/// How long a client may say nothing, or take nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A control socket that is listened at, until it is dropped.
pub(crate) struct Control {
    _file: SocketFile,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Answers at `path` from now on.
    pub(crate) fn start(path: &Path, answers: Arc<impl Answers>) -> Result<Self, ControlError> {
        let (file, listener) = SocketFile::listen(path)?;
        let failed = |cause| ControlError::Listen { path: path.to_owned(), cause };
        let (stopped, stop) = io::pipe().map_err(failed)?;
        let thread = thread::Builder::new().name("control".into());
        let thread = thread.spawn(move || listen(&listener, &stopped, &answers)).map_err(failed)?;
        Ok(Self { _file: file, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Client {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

fn listen(listener: &UnixListener, stopped: &PipeReader, answers: &Arc<impl Answers>) {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let mut waiting = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut waiting, PollTimeout::try_from(TICK).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            // What poll(2) has left is a lack of memory: it passes.
            Err(_) => thread::sleep(TICK),
        }
        if waiting[1].revents().is_some_and(|events| !events.is_empty()) {
            break;
        }
        answers.tick();
        clients.retain(|client| !client.thread.is_finished());
        while let Ok((stream, _)) = listener.accept() {
            clients.extend(admit(stream, clients.len(), answers));
        }
    }
    for Client { stream, thread } in clients {
        let _ = stream.shutdown(Shutdown::Both);
        let _ = thread.join();
    }
}

/// A client that there is room for, and that may ask.
fn admit(stream: UnixStream, clients: usize, answers: &Arc<impl Answers>) -> Option<Client> {
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
    Some(Client { stream, thread })
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

/// Answers one request after another; while one is answered the next is read.
fn serve(stream: &UnixStream, answers: &impl Answers) {
    let unanswered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (read, requests) = sync_channel(1);
        let reader = thread::Builder::new().name("control-reader".into());
        let reader = reader.spawn_scoped(scope, || read_requests(stream, read, &unanswered));
        if let Err(error) = reader {
            reply(stream, &Reply::Error { error: format!("starting a thread that reads: {error}") });
        }
        for request in requests {
            let answer =
                request.map_or_else(|error| Reply::Error { error }, |request| answers.answer(request));
            let is_sent = reply(stream, &answer);
            unanswered.fetch_sub(1, Ordering::Relaxed);
            if !is_sent {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    });
}

/// Reads a request a line, or why a line is none, until the client says nothing more or something that has no end.
fn read_requests(stream: &UnixStream, read: SyncSender<Result<Request, String>>, unanswered: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while next_line(&mut reader, &mut line, unanswered) {
        let is_whole = line.len() <= MOST_BYTES;
        let request = if is_whole {
            serde_json::from_slice(&line).map_err(|error| format!("no request: {error}"))
        } else {
            Err(format!("a request of more than {MOST_BYTES} bytes; one JSON object a line is wanted"))
        };
        unanswered.fetch_add(1, Ordering::Relaxed);
        if read.send(request).is_err() || !is_whole {
            return;
        }
    }
}

/// The next line, or as much of it as is too long; false where there is none. A client that waits for an answer may say
/// nothing for as long as that takes.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>, unanswered: &AtomicUsize) -> bool {
    line.clear();
    loop {
        let room = (MOST_BYTES + 1 - line.len()) as u64;
        match reader.take(room).read_until(b'\n', line) {
            Ok(_) => return !line.is_empty(),
            Err(error) if error.kind() == ErrorKind::WouldBlock && unanswered.load(Ordering::Relaxed) > 0 => {
            }
            Err(_) => return false,
        }
    }
}

/// Whether it was sent.
fn reply(mut stream: &UnixStream, reply: &Reply) -> bool {
    let Ok(mut line) = serde_json::to_vec(reply) else { return false };
    line.push(b'\n');
    stream.write_all(&line).is_ok()
}
