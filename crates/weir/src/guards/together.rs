//! All guards of a file while they run, and where they are asked.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::SystemTime,
};

use anyhow::Context as _;
use parking_lot::Mutex;
use weir_service::{
    GuardStatus,
    control::{Answers, GuardRequest, Reply},
};

use super::running::{RunningGuard, milliseconds};

/// The guards of a file.
pub(crate) struct RunningGuards {
    file: String,
    since: SystemTime,
    guards: Mutex<Vec<RunningGuard>>,
}

impl RunningGuards {
    /// None of them runs yet.
    pub(crate) fn of(file: &Path) -> Arc<Self> {
        let file = file.display().to_string();
        Arc::new(Self { file, since: SystemTime::now(), guards: Mutex::default() })
    }

    /// One more runs.
    pub(crate) fn add(&self, guard: RunningGuard) {
        self.guards.lock().push(guard);
    }

    /// Does something with them, for which those wait that ask.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Vec<RunningGuard>) -> T) -> T {
        act(&mut self.guards.lock())
    }

    /// How they stand before their services, and what they decided so far.
    pub(crate) fn status(&self) -> GuardStatus {
        GuardStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            file: self.file.clone(),
            process: process::id(),
            since_ms: milliseconds(self.since),
            services: self.guards.lock().iter().map(RunningGuard::status).collect(),
        }
    }
}

impl Answers for RunningGuards {
    type Request = GuardRequest;

    fn answer(&self, request: GuardRequest) -> Reply {
        match request {
            GuardRequest::Status => Reply::Guard(self.status()),
        }
    }
}

/// Where the folders of running guards are.
const FOLDERS: &str = "/run/weir";

/// The socket in such a folder.
const SOCKET: &str = "control";

/// The folder of a guard's control socket; one that this process made goes when this is dropped.
pub(crate) struct ControlFolder {
    path: PathBuf,
    is_own: bool,
}

impl ControlFolder {
    /// The folder that systemd made for the unit (RuntimeDirectory in systemd.exec(5)); without one it is made, for its owner alone.
    ///
    /// # Errors
    /// It can't be made.
    pub(crate) fn make(guard: &Path) -> anyhow::Result<Self> {
        if let Some(folders) = env::var_os("RUNTIME_DIRECTORY")
            && let Some(path) = env::split_paths(&folders).next()
        {
            return Ok(Self { path, is_own: false });
        }
        let path = Path::new(FOLDERS).join(name_of(guard));
        let make = |path: &Path, mode| match fs::DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).with_context(|| {
                format!("making the folder {}; --control names another place", path.display())
            }),
            _ => Ok(()),
        };
        make(Path::new(FOLDERS), 0o755)?;
        make(&path, 0o700)?;
        Ok(Self { path, is_own: true })
    }

    /// The path of the socket in it.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
}

impl Drop for ControlFolder {
    fn drop(&mut self) {
        if self.is_own {
            // What isn't empty is somebody's.
            let _ = fs::remove_dir(&self.path).and_then(|()| fs::remove_dir(FOLDERS));
        }
    }
}

/// The guard's name as that of a unit and of a folder: its file's, without what these don't take.
pub(super) fn name_of(guard: &Path) -> String {
    let stem = guard.file_stem().unwrap_or_default().to_string_lossy();
    let is_part = |each: char| each.is_ascii_alphanumeric() || "-_".contains(each);
    let name: String = stem.chars().map(|each| if is_part(each) { each } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// The control sockets of all guards that were started without `--control`, by their folders' names.
///
/// # Errors
/// Their folder can't be read; that it isn't there is none.
pub(crate) fn control_sockets() -> io::Result<Vec<PathBuf>> {
    let folders = match fs::read_dir(FOLDERS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folders => folders?,
    };
    let mut sockets = folders
        .map(|folder| Ok(folder?.path().join(SOCKET)))
        .filter(|socket| !socket.as_ref().is_ok_and(|socket: &PathBuf| !socket.exists()))
        .collect::<io::Result<Vec<_>>>()?;
    sockets.sort();
    Ok(sockets)
}
