//! A control group for the server's sockets, where a hook belongs to a group.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    process,
};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use thiserror::Error;

/// A group of cgroup2 that this process is in: what it opens from now on belongs to the group. Dropping it moves the
/// process back where it came from, and removes the group where it was made for this.
#[derive(Debug)]
pub struct ControlGroup {
    path: PathBuf,
    folder: File,
    came_from: Option<PathBuf>,
    is_ours: bool,
}

/// Why a group can't be entered.
#[derive(Debug, Error)]
#[error("{doing} control group {}: {cause}{remedy}", path.display())]
pub struct ControlGroupError {
    doing: &'static str,
    path: PathBuf,
    cause: io::Error,
    remedy: &'static str,
}

/// What begins the name of a group that is made here; the process's number follows.
const PREFIX: &str = "weir-serve-";
/// The file that lists a group's processes, and takes one in that is written to it.
const PROCESSES: &str = "cgroup.procs";
/// How deep below the root groups are looked for.
const MAX_DEPTH: usize = 8;

impl ControlGroup {
    /// A new group below the one that this process is in.
    ///
    /// Needs root, or a group whose owner this user is (delegation, cgroups(7)).
    pub fn fresh() -> Result<Self, ControlGroupError> {
        let parent = current()?;
        let path = parent.join(format!("{PREFIX}{}", process::id()));
        fs::create_dir(&path).map_err(failed("making", &path))?;
        Self::enter_from(parent, path, true)
    }

    /// That group, which is there; a process that is in it, or in one below it, stays where it is.
    pub fn existing(path: &Path) -> Result<Self, ControlGroupError> {
        let path = path.canonicalize().map_err(failed("opening", path))?;
        let file_system = statfs(&path).map_err(|errno| failed("looking at", &path)(errno.into()))?;
        if file_system.filesystem_type() != CGROUP2_SUPER_MAGIC {
            let cause = io::ErrorKind::InvalidInput.into();
            let remedy = "; it is no folder of cgroup2: give one below where that is mounted (--cgroup PATH)";
            return Err(ControlGroupError { doing: "looking at", path, cause, remedy });
        }
        let parent = current()?;
        if parent.starts_with(&path) {
            let folder = File::open(&path).map_err(failed("opening", &path))?;
            return Ok(Self { path, folder, came_from: None, is_ours: false });
        }
        Self::enter_from(parent, path, false)
    }

    fn enter_from(parent: PathBuf, path: PathBuf, is_ours: bool) -> Result<Self, ControlGroupError> {
        let entered = move_to(&path).and_then(|()| File::open(&path));
        let folder = entered.map_err(|cause| {
            if is_ours {
                // It is empty: this process didn't get in.
                let _ = fs::remove_dir(&path);
            }
            failed("entering", &path)(cause)
        })?;
        Ok(Self { path, folder, came_from: Some(parent), is_ours })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Groups that were made by [`Self::fresh`] and outlived their process, wherever cgroup2 is mounted.
    pub fn leftovers() -> io::Result<Vec<PathBuf>> {
        let is_left = |group: &PathBuf| {
            let is_ours =
                group.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
            is_ours && fs::read(group.join(PROCESSES)).is_ok_and(|processes| processes.is_empty())
        };
        Ok(groups()?.into_iter().filter(is_left).collect())
    }
}

/// The group whose folder has that inode, as the kernel numbers groups.
pub(crate) fn group_of_inode(inode: u64) -> io::Result<Option<PathBuf>> {
    let is_it = |group: &PathBuf| group.metadata().is_ok_and(|found| found.ino() == inode);
    Ok(groups()?.into_iter().find(is_it))
}

/// The groups of that name, such as systemd gives each unit.
pub(crate) fn group_named(name: &str) -> io::Result<Option<PathBuf>> {
    Ok(groups()?.into_iter().find(|group| group.file_name().is_some_and(|found| found == name)))
}

/// Every group of cgroup2, wherever that is mounted, its root first; as deep as [`MAX_DEPTH`].
fn groups() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting: Vec<_> = root()?.map(|root| (root, 0)).into_iter().collect();
    while let Some((folder, depth)) = waiting.pop() {
        // A group may go while it is looked at.
        let below = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        let below =
            below.filter(|entry| depth < MAX_DEPTH && entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(below.map(|entry| (entry.path(), depth + 1)));
        found.push(folder);
    }
    Ok(found)
}

impl AsFd for ControlGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // A group that can't be left or removed stays empty when the process ends; `weir doctor` finds it.
        if let Some(parent) = &self.came_from {
            let _ = move_to(parent);
        }
        if self.is_ours {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Moves this process.
fn move_to(group: &Path) -> io::Result<()> {
    // The kernel's own file: where there is none, none is made.
    let mut processes = OpenOptions::new().write(true).open(group.join(PROCESSES))?;
    processes.write_all(process::id().to_string().as_bytes())
}

/// The group of cgroup2 that this process is in.
fn current() -> Result<PathBuf, ControlGroupError> {
    let own = Path::new("/proc/self/cgroup");
    let text = fs::read_to_string(own).map_err(failed("reading", own))?;
    let root = root().map_err(failed("looking for", Path::new("/proc/self/mounts")))?;
    let below = text.lines().find_map(|line| line.strip_prefix("0::/"));
    match (root, below) {
        (Some(root), Some(below)) => Ok(root.join(below)),
        _ => Err(ControlGroupError {
            doing: "looking for",
            path: own.to_owned(),
            cause: io::ErrorKind::NotFound.into(),
            remedy: "; cgroup2 is not mounted: `mount -t cgroup2 none /sys/fs/cgroup`, or use another hook",
        }),
    }
}

/// Where cgroup2 is mounted.
fn root() -> io::Result<Option<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let folder = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let folder = words.next()?;
        (words.next() == Some("cgroup2")).then(|| PathBuf::from(folder))
    };
    Ok(mounts.lines().find_map(folder))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ControlGroupError {
    let path = path.to_owned();
    move |cause| {
        let remedy = match cause.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; needs root and a writable cgroup2, or a group that is this user's (--cgroup PATH)"
            }
            io::ErrorKind::NotFound => "; give the folder of a group that is there (--cgroup PATH)",
            _ => "",
        };
        ControlGroupError { doing, path, cause, remedy }
    }
}
