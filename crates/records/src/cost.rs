//! What a process spent between two moments.

use std::{ops::Sub, time::Duration};

use nix::{
    sys::resource::{UsageWho, getrusage},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};
use weir_filters::Moment;

/// The moment that it is.
pub fn monotonic_now() -> Moment {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on every Linux");
    Moment { ns: Duration::from(now).as_nanos() as u64 }
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
        Self::of(UsageWho::RUSAGE_SELF)
    }

    /// What the calling thread has spent so far (`RUSAGE_THREAD`); the peak is the whole process's.
    pub fn of_this_thread() -> Self {
        Self::of(UsageWho::RUSAGE_THREAD)
    }

    fn of(who: UsageWho) -> Self {
        let usage = getrusage(who).expect("both are valid since Linux 2.6.26");
        Self::from(*usage.as_ref())
    }

    /// User and system CPU time together.
    pub fn cpu(&self) -> Duration {
        Duration::from_micros(self.user_us + self.system_us)
    }
}

impl From<libc::rusage> for Cost {
    fn from(usage: libc::rusage) -> Self {
        let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
        let us = |time: libc::timeval| count(time.tv_sec) * 1_000_000 + count(time.tv_usec);
        Self {
            user_us: us(usage.ru_utime),
            system_us: us(usage.ru_stime),
            voluntary_switches: count(usage.ru_nvcsw),
            involuntary_switches: count(usage.ru_nivcsw),
            minor_faults: count(usage.ru_minflt),
            major_faults: count(usage.ru_majflt),
            peak_rss_kib: count(usage.ru_maxrss),
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
