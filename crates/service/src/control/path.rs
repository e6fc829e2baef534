//! The control socket's place in the file system: private from its first moment, and gone at the end.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::{
    sys::stat::{Mode, fchmod},
    unistd::geteuid,
};
use socket2::{Domain, SockAddr, Socket, Type};

use super::ControlError;

/// Clients that may wait to be let in.
const BACKLOG: i32 = 8;

/// A socket's file; removed when dropped, if it is still this one.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at `path`, for its owner and root alone.
    pub(super) fn listen(path: &Path) -> Result<(Self, UnixListener), ControlError> {
        remove_stale(path)?;
        let failed = |cause| ControlError::Listen { path: path.to_owned(), cause };
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        // bind(2) makes the file with the mode of the socket (net/unix/af_unix.c, unix_bind_bsd): there is no moment in
        // which somebody else could reach it.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| failed(errno.into()))?;
        socket.bind(&SockAddr::unix(path).map_err(failed)?).map_err(failed)?;
        let file = Self { path: path.to_owned(), identity: identity(path).map_err(failed)? };
        socket.listen(BACKLOG).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        Ok((file, socket.into()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Removes a socket of this user that nobody listens at any more: a killed server leaves one.
fn remove_stale(path: &Path) -> Result<(), ControlError> {
    let taken = |by: &'static str| ControlError::Taken { path: path.to_owned(), by };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(ControlError::Listen { path: path.to_owned(), cause }),
    };
    if !metadata.file_type().is_socket() {
        return Err(taken("something that is no socket"));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(taken("somebody else's socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|cause| ControlError::Listen { path: path.to_owned(), cause })
        }
        _ => Err(taken("a server that runs")),
    }
}
