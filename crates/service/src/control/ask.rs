//! Asking a running server.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::{Reply, Request};

/// How long an answer may take: a program is loaded within it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Length of an answer, bytes: every prefix that can be blocked is listed in less.
const MOST_BYTES: u64 = 1 << 24;

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

/// Asks the server whose control socket is at `path`.
///
/// # Errors
/// [`AskError`]; what the server refuses is one, too.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, AskError> {
    let line =
        exchange(path, request).map_err(|cause| AskError::Connection { path: path.to_owned(), cause })?;
    let reply =
        serde_json::from_str(&line).map_err(|cause| AskError::Answer { path: path.to_owned(), cause })?;
    match reply {
        Reply::Error { error } => Err(AskError::Refused(error)),
        reply => Ok(reply),
    }
}

fn exchange(path: &Path, request: &Request) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MOST_BYTES)).read_line(&mut answer)?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}
