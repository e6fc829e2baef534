//! Asking a running server or guard.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    num::NonZeroU64,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use rayon::slice::ParallelSliceMut as _;
use serde::Serialize;
use thiserror::Error;

use super::{ControlRequest, Prefix, Reply};

/// How long an answer may take: a program is loaded within it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Length of an answer, bytes: every prefix that can be blocked is listed in less.
const MOST_BYTES: u64 = 1 << 27;

/// Why a server didn't answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody could be asked.
    #[error(
        "asking the server at {path}: {cause}; is that the path of a `weir serve` or `weir guard run` that runs, and yours or \
         are you root?", path = path.display()
    )]
    Connection {
        /// The control socket.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The answer is none.
    #[error("the server at {path} answered what this weir doesn't understand: {cause}; is it of the same version?", path = path.display())]
    Answer {
        /// The control socket.
        path: PathBuf,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// The server said no.
    #[error("{0}")]
    Refused(String),
}

/// A server that is asked one thing after another.
#[derive(Debug)]
pub struct Connection {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// To the server whose control socket is at `path`.
    ///
    /// # Errors
    /// [`AskError::Connection`].
    pub fn open(path: &Path) -> Result<Self, AskError> {
        let connected = UnixStream::connect(path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Self { path: path.to_owned(), stream: BufReader::new(stream) }),
            Err(cause) => Err(AskError::Connection { path: path.to_owned(), cause }),
        }
    }

    /// Asks one thing, and takes the answer.
    ///
    /// # Errors
    /// [`AskError`]; what the server refuses is one, too.
    pub fn ask(&mut self, request: &impl Serialize) -> Result<Reply, AskError> {
        self.send(request)?;
        self.receive()
    }

    fn send(&mut self, request: &impl Serialize) -> Result<(), AskError> {
        let sent = serde_json::to_vec(request).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.stream.get_mut().write_all(&line)
        });
        sent.map_err(|cause| AskError::Connection { path: self.path.clone(), cause })
    }

    fn receive(&mut self) -> Result<Reply, AskError> {
        let failed = |cause| AskError::Connection { path: self.path.clone(), cause };
        let mut line = String::new();
        (&mut self.stream).take(MOST_BYTES).read_line(&mut line).map_err(failed)?;
        if line.is_empty() {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let reply = serde_json::from_str(&line)
            .map_err(|cause| AskError::Answer { path: self.path.clone(), cause })?;
        match reply {
            Reply::Error { error } => Err(AskError::Refused(error)),
            reply => Ok(reply),
        }
    }
}

/// Asks the server whose control socket is at `path` one thing.
///
/// # Errors
/// [`AskError`]; what the server refuses is one, too.
pub fn ask(path: &Path, request: &impl Serialize) -> Result<Reply, AskError> {
    Connection::open(path)?.ask(request)
}

/// Has the server block any number of prefixes: in the order of their addresses, each once, and as many at a time as a request
/// has room for. `on_done` is told how many are blocked so far.
///
/// # Errors
/// [`AskError`]; those that `on_done` was told of are blocked then.
pub fn block_all(
    path: &Path,
    mut prefixes: Vec<Prefix>,
    for_ms: Option<NonZeroU64>,
    mut on_done: impl FnMut(usize),
) -> Result<usize, AskError> {
    prefixes.par_sort_unstable();
    prefixes.dedup();
    let mut connection = Connection::open(path)?;
    let mut done = 0;
    let mut receive = |connection: &mut Connection, count| {
        connection.receive().map(|_| {
            done += count;
            on_done(done);
        })
    };
    // While the server is at one request the next is on its way.
    let mut waiting = None;
    for prefixes in prefixes.chunks(PREFIXES_A_REQUEST) {
        connection.send(&ControlRequest::BlockAll { prefixes: prefixes.to_vec(), for_ms })?;
        if let Some(count) = waiting.replace(prefixes.len())
            && let Err(error) = receive(&mut connection, count)
        {
            // What was sent already may be done all the same.
            let _ = receive(&mut connection, prefixes.len());
            return Err(error);
        }
    }
    waiting.map_or(Ok(()), |count| receive(&mut connection, count))?;
    Ok(done)
}

/// Prefixes that a request has room for, each in quotes and before a comma, at their longest.
const PREFIXES_A_REQUEST: usize = (super::listener::MOST_BYTES - 128)
    / ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128".len() + "\"\",".len());
