//! Asking a running server.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    num::NonZeroU64,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::{Prefix, Reply, Request};

/// How long an answer may take: a program is loaded within it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Length of an answer, bytes: every prefix that can be blocked is listed in less.
const MOST_BYTES: u64 = 1 << 27;

/// Why a server didn't answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// Nobody could be asked.
    #[error(
        "asking the server at {path}: {cause}; is that the path of a `weir serve --control` that runs, and yours or are \
         you root?", path = path.display()
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
    pub fn ask(&mut self, request: &Request) -> Result<Reply, AskError> {
        let line = self
            .exchange(request)
            .map_err(|cause| AskError::Connection { path: self.path.clone(), cause })?;
        let reply = serde_json::from_str(&line)
            .map_err(|cause| AskError::Answer { path: self.path.clone(), cause })?;
        match reply {
            Reply::Error { error } => Err(AskError::Refused(error)),
            reply => Ok(reply),
        }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<String> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        let mut answer = String::new();
        (&mut self.stream).take(MOST_BYTES).read_line(&mut answer)?;
        if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    }
}

/// Asks the server whose control socket is at `path` one thing.
///
/// # Errors
/// [`AskError`]; what the server refuses is one, too.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, AskError> {
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
    prefixes.sort_unstable();
    prefixes.dedup();
    let mut connection = Connection::open(path)?;
    let mut done = 0;
    for prefixes in prefixes.chunks(PREFIXES_A_REQUEST) {
        connection.ask(&Request::BlockAll { prefixes: prefixes.to_vec(), for_ms })?;
        done += prefixes.len();
        on_done(done);
    }
    Ok(done)
}

/// Prefixes that a request has room for, each in quotes and before a comma, at their longest.
const PREFIXES_A_REQUEST: usize = (super::listener::MOST_BYTES - 128)
    / ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128".len() + "\"\",".len());
