//! What outlives its process: links and maps that have names in bpffs.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use aya_obj::generated::{
    XDP_FLAGS_SKB_MODE,
    bpf_attach_type::{
        self, BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET_INGRESS, BPF_TCX_EGRESS, BPF_TCX_INGRESS, BPF_XDP,
    },
};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use thiserror::Error;

use crate::{Remembered, attached::Hold, sys};

/// Where bpffs is mounted (file-hierarchy(7) has it below /sys).
const BPFFS: &str = "/sys/fs/bpf";

/// The folder of links below that of a guard's service.
const LINKS: &str = "links";

/// The map of what is said of a program, among its maps.
const SAID: &str = "said";

/// Why something can't be kept.
#[derive(Debug, Error)]
pub enum PinError {
    /// There is no bpffs.
    #[error(
        "{BPFFS} is no bpffs, where what is kept has its names; `mount -t bpf bpf {BPFFS}` makes it one, as systemd does"
    )]
    NoBpffs,
    /// Another process has it.
    #[error("a process has what is kept in {} already; end that `weir guard run` first", .0.display())]
    Taken(PathBuf),
    /// What the kernel says.
    #[error("{doing} {}: {cause}", path.display())]
    Call {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What came back.
        cause: io::Error,
    },
}

impl PinError {
    pub(crate) fn of<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |cause| Self::Call { doing, path: path.to_owned(), cause }
    }
}

/// The folder below which guards are kept, a folder each, and in that one for each of its services.
pub fn kept_guards() -> PathBuf {
    Path::new(BPFFS).join("weir")
}

/// A folder of bpffs in which a service's links and maps have names, its own for as long as this lives.
#[derive(Debug)]
pub struct Pins {
    folder: PathBuf,
    /// The folder, locked.
    _lock: File,
}

impl Pins {
    /// Those of a guard's service; makes the folder where it isn't there yet. Needs to be root, or who the folder belongs to.
    ///
    /// # Errors
    /// [`PinError::Taken`], [`PinError::NoBpffs`], or what the kernel says.
    pub fn open(guard: &str, service: &str) -> Result<Self, PinError> {
        if !statfs(BPFFS).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC) {
            return Err(PinError::NoBpffs);
        }
        let folder = kept_guards().join(guard).join(service);
        let links = folder.join(LINKS);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&links);
        made.map_err(PinError::of("making the folder", &links))?;
        let lock = File::open(&folder).map_err(PinError::of("opening", &folder))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(PinError::Taken(folder)),
            Err(TryLockError::Error(error)) => Err(PinError::of("locking", &folder)(error)),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A link that attaches the program there: one that is kept, where there is one for the same place, else a new one.
    pub(crate) fn link(
        &self,
        program: BorrowedFd<'_>,
        target: u32,
        attach_type: bpf_attach_type,
        flags: u32,
    ) -> io::Result<Hold> {
        let path = self.links().join(link_name(target, attach_type, flags)?);
        if let Some(link) = living(&path)? {
            sys::update_link(link.as_fd(), program)?;
            return Ok(Hold::Kept(link, path));
        }
        let link = sys::create_link(program, target, attach_type, flags)?;
        sys::pin(link.as_fd(), &path)?;
        Ok(Hold::Kept(link, path))
    }

    /// Whether generic XDP is kept at an interface.
    pub(crate) fn has_generic_xdp(&self, interface: u32) -> bool {
        link_name(interface, BPF_XDP, XDP_FLAGS_SKB_MODE)
            .is_ok_and(|name| living(&self.links().join(name)).is_ok_and(|link| link.is_some()))
    }

    /// The ids of the programs that kept links have.
    pub(crate) fn programs(&self) -> Vec<u32> {
        let links =
            self.link_paths().unwrap_or_default().into_iter().filter_map(|path| living(&path).ok()?);
        links.filter_map(|link| sys::program_of_link(link.as_fd()).ok()?).collect()
    }

    /// Detaches the links that are kept and that nobody holds by `held`, and those that are attached to nothing any more.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn detach_others(&self, held: &[&Path]) -> Result<(), PinError> {
        for path in self.link_paths().map_err(PinError::of("reading the folder", &self.links()))? {
            if held.contains(&path.as_path()) {
                continue;
            }
            if let Some(link) = living(&path).map_err(PinError::of("opening", &path))? {
                sys::detach_link(link.as_fd()).map_err(PinError::of("detaching", &path))?;
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Whether a link or a program's maps are kept.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_any_kept(&self) -> Result<bool, PinError> {
        let links = self.link_paths().map_err(PinError::of("reading the folder", &self.links()))?;
        Ok(!links.is_empty() || !self.programs_kept()?.is_empty())
    }

    /// The programs whose maps are kept, by their names, the latest one last, each with what was said of it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn programs_kept(&self) -> Result<Vec<(String, Vec<u8>)>, PinError> {
        let failed = PinError::of("reading the folder", &self.folder);
        let folders = fs::read_dir(&self.folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut kept = Vec::new();
        for name in
            folders.map_err(failed)?.into_iter().filter_map(|entry| entry.file_name().into_string().ok())
        {
            let path = self.folder.join(&name).join(SAID);
            match sys::open_pin(&path).and_then(|map| sys::bytes_of(map.as_fd())) {
                Ok(said) => kept.push((name, said)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(PinError::of("reading", &path)(error)),
            }
        }
        // By the kernel's numbers, of which later programs have later ones.
        kept.sort_by_key(|(name, _)| name.parse::<u32>().ok());
        Ok(kept)
    }

    /// The folder of a program's maps.
    pub fn folder_of(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// Keeps what a program remembers, with what is to be said of it to the next process.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep(&self, program: &str, remembered: &Remembered, said: &[u8]) -> Result<(), PinError> {
        let folder = self.folder_of(program);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(PinError::of("making the folder", &folder))?;
        remembered.keep_in(&folder)?;
        self.say(program, said)
    }

    /// Says something else of a program, in one step.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn say(&self, program: &str, said: &[u8]) -> Result<(), PinError> {
        let [path, new] = [SAID, "new"].map(|name| self.folder_of(program).join(name));
        remove(&new)?;
        let kept = sys::map_of(said).and_then(|map| sys::pin(map.as_fd(), &new));
        kept.and_then(|()| fs::rename(&new, &path)).map_err(PinError::of("naming", &path))
    }

    /// Keeps the maps of a program no more.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn forget(&self, program: &str) -> Result<(), PinError> {
        let folder = self.folder_of(program);
        let forgotten = match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        forgotten.map_err(PinError::of("removing", &folder))
    }

    /// Removes the folder, where nothing is kept in it any more.
    pub fn remove_if_empty(&self) {
        // What isn't empty is kept.
        let _ = fs::remove_dir(self.links()).and_then(|()| fs::remove_dir(&self.folder));
        if let Some(guard) = self.folder.parent() {
            let _ = fs::remove_dir(guard).and_then(|()| fs::remove_dir(kept_guards()));
        }
    }

    fn links(&self) -> PathBuf {
        self.folder.join(LINKS)
    }

    fn link_paths(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(self.links())?.map(|entry| Ok(entry?.path())).collect()
    }
}

/// Takes a name away.
pub(crate) fn remove(path: &Path) -> Result<(), PinError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PinError::of("removing", path)(error)),
        _ => Ok(()),
    }
}

/// A kept link that is attached to something. One whose interface or control group is gone stays, and is taken away here.
fn living(path: &Path) -> io::Result<Option<OwnedFd>> {
    let link = match sys::open_pin(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        link => link?,
    };
    if sys::is_dead_link(link.as_fd())? {
        fs::remove_file(path)?;
        return Ok(None);
    }
    Ok(Some(link))
}

/// What a link is called: where it is attached, of this thread's network namespace. Numbers that are given again are those of others by
/// then, whose links are attached to nothing.
fn link_name(target: u32, attach_type: bpf_attach_type, flags: u32) -> io::Result<String> {
    let kind = match attach_type {
        BPF_TCX_INGRESS => "tc-ingress",
        BPF_TCX_EGRESS => "tc-egress",
        BPF_XDP if flags & XDP_FLAGS_SKB_MODE != 0 => "xdp-generic",
        BPF_XDP => "xdp-driver",
        BPF_CGROUP_INET_INGRESS | BPF_CGROUP_INET_EGRESS => {
            let way = if attach_type == BPF_CGROUP_INET_INGRESS { "ingress" } else { "egress" };
            let group = fs::metadata(format!("/proc/thread-self/fd/{target}"))?.ino();
            return Ok(format!("cgroup-{way}-{group}"));
        }
        _ => unreachable!("guards have no links there"),
    };
    let network = fs::metadata("/proc/thread-self/ns/net")?.ino();
    Ok(format!("{kind}-{network}-{target}"))
}
