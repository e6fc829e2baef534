//! The network namespace of a service, in which everything of it is found and attached.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::{
    sched::{CloneFlags, setns},
    sys::statfs::{NSFS_MAGIC, fstatfs},
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::GuardingError;

/// A thread of a network namespace; none where that is this process's own.
#[derive(Clone, Default)]
pub(super) struct Network(Option<Arc<ThreadPool>>);

/// Where `ip netns` has those with names (ip-netns(8)).
const NAMED: &str = "/run/netns";

/// The file of a namespace, as guards name it: a name of `ip netns`, or a whole path.
pub fn network_path(named: &str) -> PathBuf {
    // A whole path stays what it is.
    Path::new(NAMED).join(named)
}

impl Network {
    /// The namespace of that name or path. A thread enters it and stays there, which takes CAP_SYS_ADMIN then alone, and none where
    /// this process is in it.
    ///
    /// # Errors
    /// It is none, or can't be entered.
    pub(super) fn of(named: Option<&str>) -> Result<Self, GuardingError> {
        let Some(named) = named else { return Ok(Self::default()) };
        let path = network_path(named);
        let opened =
            open(&path).and_then(|file| if is_own(&file)? { Ok(None) } else { enter(file).map(Some) });
        let thread = opened.map_err(|cause| GuardingError::Network { path, cause })?;
        Ok(Self(thread.map(Arc::new)))
    }

    /// Does it there.
    pub(super) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        match &self.0 {
            Some(thread) => thread.install(act),
            None => act(),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    match fstatfs(&file)?.filesystem_type() {
        NSFS_MAGIC => Ok(file),
        _ => Err(io::Error::other("it is no namespace")),
    }
}

fn is_own(file: &File) -> io::Result<bool> {
    let (asked, own) = (file.metadata()?, fs::metadata("/proc/thread-self/ns/net")?);
    Ok((asked.dev(), asked.ino()) == (own.dev(), own.ino()))
}

fn enter(namespace: File) -> io::Result<ThreadPool> {
    let thread = ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "namespace".to_owned()).build();
    let thread = thread.map_err(io::Error::other)?;
    thread.install(|| setns(namespace, CloneFlags::CLONE_NEWNET))?;
    Ok(thread)
}
