//! A control group of a test's own.

use std::{
    fs::{self, File},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::wait_until;

const PREFIX: &str = "weir-test-";

static GROUPS: AtomicU32 = AtomicU32::new(0);

/// A new control group below the root of cgroup2 (Linux 4.14, for threads in it); removed when dropped.
#[derive(Debug)]
pub struct ControlGroup {
    path: PathBuf,
    folder: File,
}

impl ControlGroup {
    /// Makes one that takes threads.
    ///
    /// # Panics
    /// Without root or cgroup2.
    #[expect(clippy::new_without_default, reason = "it makes something of the machine's")]
    pub fn new() -> Self {
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        let path = cgroup2().join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("root may make a control group");
        fs::write(path.join("cgroup.type"), "threaded").expect("a group may be threaded");
        let folder = File::open(&path).expect("it was made");
        Self { path, folder }
    }

    /// Does it with this thread in the group: a socket belongs to the group that it is made in, for which one thread
    /// is enough of a process.
    ///
    /// # Panics
    /// Where the thread can't be moved.
    pub fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        let enter = |group: &Path| fs::write(group.join("cgroup.threads"), "0");
        enter(&self.path).expect("root may move a thread");
        let made = make();
        enter(&cgroup2()).expect("root may move it back");
        made
    }

    /// Removes those of killed processes, which couldn't.
    ///
    /// # Panics
    /// Where one can't be removed.
    pub fn remove_those_of_the_dead() {
        for entry in fs::read_dir(cgroup2()).expect("it is mounted").filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            let is_dead = process.is_some_and(|process| !Path::new("/proc").join(process).exists());
            if is_dead {
                fs::remove_dir(entry.path()).expect("nothing is in it");
            }
        }
    }
}

impl AsFd for ControlGroup {
    /// The folder, for attaching to it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // What was killed in it is gone a moment later.
        wait_until("the control group is empty", || fs::remove_dir(&self.path).is_ok());
    }
}

fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let mut rows = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    rows.find(|row| row.get(2) == Some(&"cgroup2")).expect("cgroup2 is mounted")[1].into()
}
