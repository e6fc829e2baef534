//! The sysfs of a network namespace: an interface's files that netlink has no message for.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// A sysfs, held by a file descriptor.
#[derive(Debug)]
pub(super) struct Sysfs(OwnedFd);

impl Sysfs {
    /// That of the calling thread's namespace, mounted nowhere: /sys shows the interfaces of the namespace that it
    /// was mounted in. Needs CAP_SYS_ADMIN and Linux 5.2.
    pub(super) fn of_this_namespace() -> io::Result<Self> {
        let context = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        Ok(Self(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?))
    }

    /// The one at /sys, for an interface of the namespace that we were started in.
    pub(super) fn mounted() -> io::Result<Self> {
        Ok(Self(File::open("/sys")?.into()))
    }

    /// Reads the file `path` of the network interface `interface`.
    pub(super) fn read(&self, interface: &str, path: &str) -> io::Result<String> {
        let mut text = String::new();
        self.open(interface, path, OFlags::RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes `text` to the file `path` of the network interface `interface`.
    pub(super) fn write(&self, interface: &str, path: &str, text: &str) -> io::Result<()> {
        self.open(interface, path, OFlags::WRONLY)?.write_all(text.as_bytes())
    }

    fn open(&self, interface: &str, path: &str, access: OFlags) -> io::Result<File> {
        let path = format!("class/net/{interface}/{path}");
        Ok(openat(&self.0, path, access | OFlags::CLOEXEC, Mode::empty())?.into())
    }
}
