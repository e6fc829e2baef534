//! What a process spent between two moments.

use std::{
    fs, io,
    ops::{Add, Sub},
    time::Duration,
};

use nix::{
    sys::{
        resource::{Usage, UsageWho, getrusage},
        time::TimeValLike,
    },
    time::{ClockId, clock_gettime},
    unistd::{SysconfVar, sysconf},
};
use serde::{Deserialize, Serialize};

/// A moment of `CLOCK_MONOTONIC`, in nanoseconds: the same clock for every process of a machine, so that moments
/// of server and client can be compared (clock_gettime(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Monotonic {
    /// Nanoseconds since an unspecified start, the same for all processes until the next boot.
    pub ns: u64,
}

impl Monotonic {
    /// Now.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on every Linux");
        Self { ns: Duration::from(now).as_nanos() as u64 }
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.ns.saturating_sub(earlier.ns))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self { ns: self.ns.saturating_add(u64::try_from(later.as_nanos()).unwrap_or(u64::MAX)) }
    }
}

/// Resource use of one process or thread, as getrusage(2) counts it. `a - b` is what was spent from `b` to `a`, except that
/// `peak_rss_kib` stays the later one's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU time in user space, microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, microseconds.
    pub system_us: u64,
    /// Context switches because the process waited.
    pub voluntary_switches: u64,
    /// Context switches because its time was up or something else came first.
    pub involuntary_switches: u64,
    /// Page faults served without a read from disk.
    pub minor_faults: u64,
    /// Page faults that read from disk.
    pub major_faults: u64,
    /// Largest resident set so far, KiB.
    pub peak_rss_kib: u64,
}

impl Cost {
    /// What this process has spent so far.
    pub fn of_this_process() -> Self {
        Self::from(getrusage(UsageWho::RUSAGE_SELF).expect("RUSAGE_SELF is always valid"))
    }

    /// What the calling thread has spent so far (`RUSAGE_THREAD`); the peak is the whole process's.
    pub fn of_this_thread() -> Self {
        Self::from(getrusage(UsageWho::RUSAGE_THREAD).expect("RUSAGE_THREAD is valid since Linux 2.6.26"))
    }

    /// User and system CPU time together.
    pub fn cpu(&self) -> Duration {
        Duration::from_micros(self.user_us + self.system_us)
    }
}

impl From<Usage> for Cost {
    fn from(usage: Usage) -> Self {
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Self {
            user_us: count(usage.user_time().num_microseconds()),
            system_us: count(usage.system_time().num_microseconds()),
            voluntary_switches: count(usage.voluntary_context_switches()),
            involuntary_switches: count(usage.involuntary_context_switches()),
            minor_faults: count(usage.minor_page_faults()),
            major_faults: count(usage.major_page_faults()),
            peak_rss_kib: count(usage.max_rss()),
        }
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user_us: self.user_us.saturating_sub(earlier.user_us),
            system_us: self.system_us.saturating_sub(earlier.system_us),
            voluntary_switches: self.voluntary_switches.saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(earlier.involuntary_switches),
            minor_faults: self.minor_faults.saturating_sub(earlier.minor_faults),
            major_faults: self.major_faults.saturating_sub(earlier.major_faults),
            peak_rss_kib: self.peak_rss_kib,
        }
    }
}

/// Resident set of this process, KiB (`/proc/self/statm`, proc_pid_statm(5)).
pub(crate) fn resident_kib() -> io::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no resident set in /proc/self/statm: '{statm}'")))?;
    Ok(pages * page_kib()?)
}

fn page_kib() -> io::Result<u64> {
    let bytes =
        sysconf(SysconfVar::PAGE_SIZE)?.ok_or_else(|| io::Error::other("sysconf has no page size"))?;
    Ok(bytes as u64 / 1024)
}
