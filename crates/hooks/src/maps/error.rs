//! What can go wrong with a map: which one, at which key, in which call, and what to do.

use aya::{maps::MapError, sys::SyscallError};
use thiserror::Error;

use super::raw::errno;
use crate::obstacle::{MAPS, Obstacle};

/// A command on a map that failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{doing} map '{map}'{}: {reason}{}", at(.key), remedy(self))]
pub struct MapFailure {
    doing: &'static str,
    map: String,
    key: Option<String>,
    reason: String,
    errno: Option<i32>,
    obstacle: Option<Obstacle>,
}

impl MapFailure {
    pub(super) fn of(map: &str, doing: &'static str, key: Option<String>, error: MapError) -> Self {
        let errno = errno(&error);
        let reason = match error {
            MapError::SyscallError(SyscallError { call, io_error }) => format!("{call}: {io_error}"),
            error => error.to_string(),
        };
        Self { doing, map: map.to_owned(), key, reason, errno, obstacle: Obstacle::of(errno, MAPS) }
    }

    pub(crate) fn open(map: &str, reason: String) -> Self {
        Self::entry(map, "opening", reason)
    }

    /// A system call of our own on it.
    pub(crate) fn call(map: &str, doing: &'static str, error: std::io::Error) -> Self {
        let errno = error.raw_os_error();
        let obstacle = Obstacle::of(errno, MAPS);
        Self { errno, obstacle, ..Self::entry(map, doing, error.to_string()) }
    }

    pub(crate) fn entry(map: &str, doing: &'static str, reason: String) -> Self {
        Self { doing, map: map.to_owned(), key: None, reason, errno: None, obstacle: None }
    }

    /// The key is there, and should be new.
    pub fn is_present(&self) -> bool {
        self.errno == Some(libc::EEXIST)
    }

    /// The key should be there, and isn't.
    pub fn is_absent(&self) -> bool {
        self.errno == Some(libc::ENOENT)
    }

    /// There is no room for another key; of an array, the index is behind its end.
    pub fn is_full(&self) -> bool {
        matches!(self.errno, Some(libc::E2BIG | libc::ENOSPC))
    }
}

/// The kernel says ENOENT, which aya calls by another name after a lookup.
pub(super) fn is_absent(error: &MapError) -> bool {
    is_unfound(error) || errno(error) == Some(libc::ENOENT)
}

/// A lookup found nothing. ENOENT by itself is what aya's own look for the number of CPUs says where /sys isn't mounted.
pub(super) fn is_unfound(error: &MapError) -> bool {
    matches!(error, MapError::KeyNotFound | MapError::ElementNotFound)
}

fn at(key: &Option<String>) -> String {
    key.as_ref().map_or_else(String::new, |key| format!(" at key {key}"))
}

/// What to do, behind what came back.
fn remedy(MapFailure { doing, errno, obstacle, .. }: &MapFailure) -> String {
    let said = match (*doing, errno.unwrap_or_default()) {
        ("reading", libc::ENOENT) => {
            "how many CPUs there may be isn't told (/sys/devices/system/cpu/possible): mount /sys"
        }
        (_, libc::ENOMEM) => "no memory for another entry",
        ("updating", libc::EEXIST) => {
            "the key is there already: an update of any or of existing keys replaces it"
        }
        ("updating", libc::ENOENT) => "the key isn't there: an update of any or of new keys adds it",
        ("updating", libc::E2BIG | libc::ENOSPC) => {
            "it holds as many entries as it was declared for: delete some, or declare more"
        }
        ("deleting", libc::EINVAL) => "an array's entries stay: set it to zero",
        _ => return obstacle.map_or_else(String::new, |obstacle| format!("; {obstacle}")),
    };
    format!("; {said}")
}
