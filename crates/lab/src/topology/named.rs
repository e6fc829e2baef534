//! A pair with names, for use by hand: it stays until it is taken down, and `ip netns exec` knows it.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::PathBuf,
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
};
use serde::Serialize;
use weir_results::{
    net::{NetRecord, Side, Sided},
    topology::Topology,
};

use super::{NAMES, Namespace, Net, NetError, Settings, name_path, route::Route};

/// Makes a pair and gives its namespaces names.
///
/// # Errors
/// There is one already, in part even; or a step that the kernel refused. Then nothing is left of it.
pub fn up(settings: &Settings) -> Result<Net, NetError> {
    if let Some(side) = Side::ALL.into_iter().find(|side| name_path(*side).symlink_metadata().is_ok()) {
        return Err(NetError::AlreadyUp(side));
    }
    // Names come last: until then a failure, or SIGKILL, leaves nothing by itself.
    let net = Net::up(Topology::Veth, settings)?;
    match name_all(&net) {
        Ok(()) => Ok(net),
        // Somebody else's `up` took the first name meanwhile: the pair with names is theirs.
        Err(error @ NetError::AlreadyUp(Side::Server)) => Err(error),
        Err(error) => {
            // What is to be told is why it failed.
            let _ = down();
            Err(error)
        }
    }
}

fn name_all(net: &Net) -> Result<(), NetError> {
    make_folder().map_err(NetError::tried(format!("making {NAMES}, where namespaces have their names")))?;
    for (side, end) in net.ends().into_iter().flat_map(|ends| Side::ALL.map(|side| (side, &ends[side]))) {
        name(side, end)?;
    }
    Ok(())
}

/// As `ip netns add` makes it: a mount of its own that is shared, so that a name which is taken away here goes in
/// every mount namespace.
fn make_folder() -> nix::Result<()> {
    fs::create_dir_all(NAMES).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?;
    match remount(None, MsFlags::MS_SHARED | MsFlags::MS_REC) {
        Err(Errno::EINVAL) => {
            remount(Some(NAMES), MsFlags::MS_BIND | MsFlags::MS_REC)?;
            remount(None, MsFlags::MS_SHARED | MsFlags::MS_REC)
        }
        result => result,
    }
}

fn remount(source: Option<&str>, flags: MsFlags) -> nix::Result<()> {
    mount(source, NAMES, None::<&str>, flags, None::<&str>)
}

fn name(side: Side, end: &Namespace) -> Result<(), NetError> {
    let path = name_path(side);
    File::create_new(&path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NetError::AlreadyUp(side),
        _ => NetError::tried(format!("making {}", path.display()))(error),
    })?;
    let source = format!("/proc/self/fd/{}", end.as_fd().as_raw_fd());
    mount(Some(source.as_str()), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(NetError::tried(format!("mounting a namespace at {}", path.display())))
}

/// What was taken down.
#[derive(Debug, Default)]
pub struct Down {
    /// The names that are gone; empty where there were none.
    pub names: Vec<PathBuf>,
    /// Processes that are still in the namespaces, now without a way to each other.
    pub processes: Vec<u32>,
}

/// Takes down all that [`up`] made, and what is left of it if it was killed. There may be nothing.
///
/// # Errors
/// A step that the kernel refused; what could be taken down is, and it can be tried again.
pub fn down() -> Result<Down, NetError> {
    let mut all = Down::default();
    let mut failure = Ok(());
    for side in Side::ALL {
        failure = failure.and(take_down(side, &mut all));
    }
    leave_folder();
    failure.map(|()| all)
}

fn take_down(side: Side, all: &mut Down) -> Result<(), NetError> {
    let path = name_path(side);
    let failed = || NetError::tried(format!("taking down {}", path.display()));
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    if let Some(end) = Namespace::open(&path).map_err(failed())? {
        all.processes.extend(end.processes().map_err(failed())?);
        // The namespace lives as long as a process is in it; its interface need not.
        end.within(|| delete_link(side))?.map_err(failed())?;
    }
    loop {
        match umount2(&path, MntFlags::MNT_DETACH) {
            Ok(()) => {}
            Err(Errno::EINVAL) => break,
            Err(error) => return Err(NetError::tried(format!("unmounting {}", path.display()))(error)),
        }
    }
    fs::remove_file(&path).map_err(failed())?;
    all.names.push(path);
    Ok(())
}

/// There may be none: it goes with the other end.
fn delete_link(side: Side) -> io::Result<()> {
    let route = Route::open()?;
    match route.link(side.name()).and_then(|link| route.delete_link(link.header.index)) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => Ok(()),
        Err(error) => Err(error),
    }
}

/// An empty folder is as `ip netns` finds it before it makes its first name; it makes it anew.
fn leave_folder() {
    let empty = fs::read_dir(NAMES).is_ok_and(|mut names| names.next().is_none());
    if empty {
        // It is not a mount where `up` came no further, and somebody may make a name meanwhile: both are well.
        let _ = umount2(NAMES, MntFlags::empty());
        let _ = fs::remove_dir(NAMES);
    }
}

/// Opens the namespace of a side.
///
/// # Errors
/// There is none.
pub fn open(side: Side) -> Result<Namespace, NetError> {
    let path = name_path(side);
    match Namespace::open(&path) {
        Ok(Some(end)) => Ok(end),
        Ok(None) => Err(NetError::NotUp(side)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(NetError::NotUp(side)),
        Err(error) => Err(NetError::tried(format!("opening {}", path.display()))(error)),
    }
}

/// How the pair with names is.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum PairStatus {
    /// There is none.
    Down,
    /// There is a part of one.
    Broken {
        /// What is missing.
        reason: String,
    },
    /// There is one.
    Up(Box<Named>),
}

/// A pair with names.
#[derive(Debug, Serialize)]
pub struct Named {
    /// How it is set.
    #[serde(flatten)]
    pub record: NetRecord,
    /// The names of its namespaces.
    pub namespaces: Sided<PathBuf>,
    /// The processes in them.
    pub processes: Sided<Vec<u32>>,
}

/// Looks at the pair with names.
///
/// # Errors
/// Not allowed to look: it needs CAP_SYS_ADMIN.
pub fn status() -> Result<PairStatus, NetError> {
    if Side::ALL.into_iter().all(|side| name_path(side).symlink_metadata().is_err()) {
        return Ok(PairStatus::Down);
    }
    let ends = match Sided::try_with(open) {
        Err(NetError::NotUp(side)) => {
            return Ok(PairStatus::Broken {
                reason: format!("there is no namespace {}", name_path(side).display()),
            });
        }
        ends => ends?,
    };
    let namespaces = Sided { server: name_path(Side::Server), client: name_path(Side::Client) };
    let processes = Sided::try_with(|side| ends[side].processes())
        .map_err(NetError::tried("looking for processes in the namespaces"))?;
    match Net::of(ends).record() {
        Ok(record) => Ok(PairStatus::Up(Box::new(Named { record, namespaces, processes }))),
        Err(NetError::Refused { tried, cause }) if cause.raw_os_error() == Some(Errno::ENODEV as i32) => {
            Ok(PairStatus::Broken { reason: format!("{tried}: {cause}") })
        }
        Err(error) => Err(error),
    }
}
