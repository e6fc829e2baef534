//! How much memory this process takes.

use std::{fs, io};

use rustix::param::page_size;

/// Resident set of this process, KiB (`/proc/self/statm`, proc_pid_statm(5)).
pub(crate) fn resident_kib() -> io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no resident set in /proc/self/statm: '{statm}'")))?;
    Ok(pages * (page_size() as u64 / 1024))
}
