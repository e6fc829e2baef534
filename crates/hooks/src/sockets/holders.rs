//! Who has a socket, and a descriptor of it that is lent for a moment.

use std::{
    collections::HashMap,
    fs, io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::{Domain, SockRef, Socket, Type};

use super::{BoundSocket, SocketRefusal};
use crate::{Capability, HookError, Privileges};

/// A descriptor of our own of what process `process` has as its descriptor `descriptor` (pidfd_getfd(2), Linux 5.6).
///
/// Needs to be allowed to trace that process: the same user as far as Yama lets him, or CAP_SYS_PTRACE.
///
/// # Errors
/// There is no such process or descriptor, or it may not be had.
pub fn socket_of(process: u32, descriptor: i32) -> Result<OwnedFd, HookError> {
    let what = format!("descriptor {descriptor} of process {process}");
    let failed = |call, error: rustix::io::Errno| {
        let remedy = match (call, error) {
            (_, rustix::io::Errno::PERM) => "; needs root, or CAP_SYS_PTRACE",
            ("pidfd_open", rustix::io::Errno::SRCH) => "; no such process runs",
            ("pidfd_getfd", rustix::io::Errno::BADF) => {
                "; it has none of that number: /proc/PID/fd lists them"
            }
            (_, rustix::io::Errno::NOSYS) => "; needs Linux 5.6",
            _ => "",
        };
        HookError::ForeignSocket {
            what: what.clone(),
            reason: format!("{call}: {}{remedy}", io::Error::from(error)),
        }
    };
    let number = i32::try_from(process).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| failed("pidfd_open", rustix::io::Errno::SRCH))?;
    let held = pidfd_open(number, PidfdFlags::empty()).map_err(|error| failed("pidfd_open", error))?;
    pidfd_getfd(&held, descriptor, PidfdGetfdFlags::empty()).map_err(|error| failed("pidfd_getfd", error))
}

/// The one UDP socket on that local port, in the network namespace that the calling thread is in, and a process that has it.
///
/// # Errors
/// There is none, or several; or its process isn't shown to this user.
pub fn owner_of_udp_port(port: u16) -> Result<(BoundSocket, SocketHolder), HookError> {
    let refused =
        |reason: String| HookError::ForeignSocket { what: format!("the socket on UDP port {port}"), reason };
    match &BoundSocket::on_port(port)?[..] {
        [] => Err(refused("there is none in this network namespace".to_owned())),
        [only] => Ok((only.clone(), SocketHolders::of(std::slice::from_ref(only)).one_of(only)?)),
        several => Err(refused(format!(
            "{} sockets share it; name one by its process and descriptor (--pid, --fd)",
            several.len()
        ))),
    }
}

/// A process that has a socket open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketHolder {
    /// The process, as this process's pid namespace numbers it.
    pub process: u32,
    /// The socket's descriptor there.
    pub descriptor: i32,
}

/// Who has which of some sockets open, as far as /proc shows it: other users' descriptors to root; and from Linux 5.14 on to
/// CAP_SYS_PTRACE, which before takes CAP_DAC_READ_SEARCH too.
#[derive(Debug)]
pub struct SocketHolders {
    by_inode: HashMap<u64, Vec<SocketHolder>>,
    /// Whether this process may look at everybody's descriptors.
    are_all_shown: bool,
}

impl SocketHolders {
    /// Those of these sockets, at this moment.
    pub fn of(sockets: &[BoundSocket]) -> Self {
        let is_meant = |inode: &u64| sockets.iter().any(|socket| socket.inode == *inode);
        let can_trace =
            Privileges::of_this_thread().is_ok_and(|privileges| privileges.has(Capability::SysPtrace));
        let mut holders = Self { by_inode: HashMap::new(), are_all_shown: can_trace };
        let socket_mount = socket_mount();
        for process in numbers(Path::new("/proc")).unwrap_or_default() {
            let Some(found) = open_sockets(process, socket_mount.as_deref()) else {
                // One that has ended has none.
                holders.are_all_shown &= !Path::new(&format!("/proc/{process}")).exists();
                continue;
            };
            for (descriptor, inode) in found.into_iter().filter(|(_, inode)| is_meant(inode)) {
                let all = holders.by_inode.entry(inode).or_default();
                all.extend(i32::try_from(descriptor).map(|descriptor| SocketHolder { process, descriptor }));
            }
        }
        holders
    }

    /// The processes that have the socket, each with a descriptor of it.
    pub fn all_of(&self, socket: &BoundSocket) -> &[SocketHolder] {
        self.by_inode.get(&socket.inode).map_or(&[], Vec::as_slice)
    }

    /// One of them.
    ///
    /// # Errors
    /// Nobody has it ([`SocketRefusal::HasNoProcess`]); or this process may not look at everybody's descriptors.
    pub fn one_of(&self, socket: &BoundSocket) -> Result<SocketHolder, HookError> {
        self.all_of(socket).first().copied().ok_or_else(|| {
            if self.are_all_shown {
                return socket.refused(SocketRefusal::HasNoProcess);
            }
            let reason = "no process that this user may look at has it; needs root, or CAP_SYS_PTRACE (before Linux 5.14 \
                          with CAP_DAC_READ_SEARCH)";
            HookError::ForeignSocket { what: socket.to_string(), reason: reason.to_owned() }
        })
    }

    /// Whether this process may look at everybody's descriptors.
    pub fn are_all_shown(&self) -> bool {
        self.are_all_shown
    }
}

/// A process's sockets, each with its descriptor and its inode; nothing where that isn't shown.
fn open_sockets(process: u32, socket_mount: Option<&str>) -> Option<Vec<(u32, u64)>> {
    let inode_of_link =
        |link: PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    let folder = format!("/proc/{process}/fd");
    if let Some(descriptors) = numbers(Path::new(&folder)) {
        let inode = |descriptor| inode_of_link(fs::read_link(format!("{folder}/{descriptor}")).ok()?);
        return Some(descriptors.into_iter().filter_map(|each| Some((each, inode(each)?))).collect());
    }
    // That folder is its user's; this one anybody's who may trace the process (Linux 5.14, which has `ino` there too).
    let folder = format!("/proc/{process}/fdinfo");
    let inode = |descriptor| {
        let info = fs::read_to_string(format!("{folder}/{descriptor}")).ok()?;
        let inode = field(&info, "ino:")?.parse().ok()?;
        (field(&info, "mnt_id:") == socket_mount).then_some(inode)
    };
    let descriptors = numbers(Path::new(&folder)).filter(|_| socket_mount.is_some())?;
    Some(descriptors.into_iter().filter_map(|each| Some((each, inode(each)?))).collect())
}

/// The mount that every socket is in, where the kernel tells inodes beside it.
fn socket_mount() -> Option<String> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).ok()?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", socket.as_raw_fd())).ok()?;
    field(&info, "ino:")?;
    field(&info, "mnt_id:").map(str::to_owned)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The names in a folder of /proc that are numbers; nothing where they aren't shown.
fn numbers(folder: &Path) -> Option<Vec<u32>> {
    let names = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    Some(names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

impl BoundSocket {
    /// The socket that a descriptor is of; nothing where it isn't bound, is none of UDP, or of another network namespace.
    pub fn of(descriptor: BorrowedFd<'_>) -> Option<Self> {
        let socket = SockRef::from(&descriptor);
        let (local, cookie) = (socket.local_addr().ok()?.as_socket()?, socket.cookie().ok()?);
        Self::on_port(local.port()).ok()?.into_iter().find(|found| found.cookie == cookie)
    }

    /// A descriptor of the socket, which keeps it open for as long as it is there: its service can't bind anew meanwhile.
    ///
    /// # Errors
    /// As [`socket_of`]; or the process has something else by that number now.
    pub fn lent_by(&self, holder: SocketHolder) -> Result<OwnedFd, HookError> {
        let lent = socket_of(holder.process, holder.descriptor)?;
        if SockRef::from(&lent).cookie().is_ok_and(|cookie| cookie == self.cookie) {
            return Ok(lent);
        }
        let reason = format!("process {} has closed it meanwhile", holder.process);
        Err(HookError::ForeignSocket { what: self.to_string(), reason })
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsFd as _};

    use super::*;

    #[test]
    fn a_socket_is_found_by_its_port() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        let (found, holder) = owner_of_udp_port(port).expect("it is ours");
        let process = std::process::id();
        assert_eq!(holder, SocketHolder { process, descriptor: socket.as_raw_fd() });
        assert_eq!(BoundSocket::of(socket.as_fd()), Some(found));
        let other = Socket::new(Domain::UNIX, Type::DGRAM, None).expect("anybody may");
        assert_eq!(BoundSocket::of(other.as_fd()), None);
        drop(socket);
        let error = owner_of_udp_port(port).expect_err("it is closed").to_string();
        assert!(error.contains("there is none"), "{error}");
    }

    #[test]
    fn a_process_or_descriptor_that_is_not_there_is_said() {
        let said =
            |process, descriptor| socket_of(process, descriptor).expect_err("it is not there").to_string();
        assert!(said(u32::MAX, 0).contains("no such process runs"));
        let error = said(std::process::id(), 1_000_000);
        assert!(error.contains("none of that number") || error.contains("needs"), "{error}");
    }
}
