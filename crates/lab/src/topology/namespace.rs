//! A network namespace, held by a file descriptor.

use std::{
    fs::{self, File},
    io,
    marker::PhantomData,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
};

use nix::{
    sched::{CloneFlags, setns, unshare},
    sys::{
        stat::fstat,
        statfs::{NSFS_MAGIC, fstatfs},
    },
};

use super::NetError;

/// The namespace of the calling thread (proc_pid_ns(5)); a process's own file shows only its first thread's.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace. One without a name goes when this is dropped and no process is left in it.
#[derive(Debug)]
pub struct Namespace(OwnedFd);

impl Namespace {
    /// Makes one without a name. It has nothing but a loopback interface, which is down.
    ///
    /// # Errors
    /// Not allowed: it needs CAP_SYS_ADMIN.
    pub fn new() -> Result<Self, NetError> {
        // A thread of its own, so that the caller stays where it is even if the second step fails.
        let made = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open(OWN)
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        made.map(|file| Self(file.into())).map_err(NetError::tried("making a network namespace (unshare)"))
    }

    /// The one that the calling thread is in.
    pub(super) fn current() -> io::Result<Self> {
        File::open(OWN).map(|file| Self(file.into()))
    }

    /// Opens the one that is mounted at `path`; nothing where that is another kind of file.
    ///
    /// # Errors
    /// What the system calls say.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let is_namespace = fstatfs(&file)?.filesystem_type() == NSFS_MAGIC;
        Ok(is_namespace.then(|| Self(file.into())))
    }

    /// The processes whose first thread is in it, as far as we may look at them.
    ///
    /// # Errors
    /// /proc can't be read.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        let this = fstat(self)?;
        let inside = |pid: &u32| {
            let other = fs::metadata(format!("/proc/{pid}/ns/net"));
            other.is_ok_and(|other| (other.dev(), other.ino()) == (this.st_dev, this.st_ino))
        };
        let pids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(pids.filter(inside).collect())
    }

    /// Puts the calling thread into it until what this gives is dropped. Sockets that the thread opens, threads and
    /// processes that it starts meanwhile are in it, and stay there.
    ///
    /// # Errors
    /// Not allowed: it needs CAP_SYS_ADMIN.
    pub fn enter(&self) -> Result<Entered, NetError> {
        let outside = Self::current().map_err(NetError::tried(format!("opening {OWN}")))?;
        self.join()?;
        Ok(Entered { outside, not_send: PhantomData })
    }

    /// Puts the calling thread into it for good, and the threads that it starts from now on.
    ///
    /// # Errors
    /// Not allowed: it needs CAP_SYS_ADMIN.
    pub fn join(&self) -> Result<(), NetError> {
        setns(self, CloneFlags::CLONE_NEWNET).map_err(NetError::tried("entering a network namespace (setns)"))
    }

    /// Runs `f` in it.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub fn within<R>(&self, f: impl FnOnce() -> R) -> Result<R, NetError> {
        let _inside = self.enter()?;
        Ok(f())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The calling thread is in a namespace until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it leaves the namespace"]
pub struct Entered {
    outside: Namespace,
    /// The namespace is the thread's, not the process's.
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Going on in the wrong namespace would measure, or change, something else.
        self.outside.join().expect("the namespace that this thread came from is held open");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_file_is_no_namespace() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Namespace::open(file.path()).unwrap().is_none());
        assert!(Namespace::open(Path::new(OWN)).unwrap().is_some());
    }
}
