//! The thread that listens at the control socket, and one for each client.

use std::{
    io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _},
    os::{
        fd::AsFd as _,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
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
        let _ = stream.shutdown(std::net::Shutdown::Both);
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

fn serve(stream: &UnixStream, answers: &impl Answers) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(MOST_BYTES as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.len() > MOST_BYTES => {
                let error =
                    format!("a request of more than {MOST_BYTES} bytes; one JSON object a line is wanted");
                reply(stream, &Reply::Error { error });
                return;
            }
            Ok(_) => {}
        }
        if !reply(stream, &answer(&line, answers)) {
            return;
        }
    }
}

fn answer(line: &[u8], answers: &impl Answers) -> Reply {
    match serde_json::from_slice(line) {
        Ok(request) => answers.answer(request),
        Err(error) => Reply::Error { error: format!("no request: {error}") },
    }
}

/// Whether it was sent.
fn reply(mut stream: &UnixStream, reply: &Reply) -> bool {
    let Ok(mut line) = serde_json::to_vec(reply) else { return false };
    line.push(b'\n');
    stream.write_all(&line).is_ok()
}
