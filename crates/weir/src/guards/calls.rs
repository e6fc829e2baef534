//! The system calls that a running guard makes, by what they are for (syscalls(2)).

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError,
    SeccompCmpArgLen::Dword,
    SeccompCmpOp,
    SeccompCmpOp::{Eq, MaskedEq},
    SeccompCondition, SeccompRule,
};

/// A call, where each of its conditions holds.
type Call = (libc::c_long, &'static [Condition]);

/// An argument's position, how its lower 32 bits are compared, and with what.
type Condition = (u8, SeccompCmpOp, u32);

/// No bit of these.
const fn without(argument: u8, bits: i32) -> Condition {
    (argument, MaskedEq(bits as u32 as u64), 0)
}

/// All of these bits.
const fn with(argument: u8, bits: i32) -> Condition {
    (argument, MaskedEq(bits as u32 as u64), bits as u32)
}

const fn is(argument: u8, value: i32) -> Condition {
    (argument, Eq, value as u32)
}

const ANY: &[Condition] = &[];

/// Memory, none of which is ever executed.
const MEMORY: &[Call] = &[
    (libc::SYS_brk, ANY),
    (libc::SYS_mmap, &[without(2, libc::PROT_EXEC)]),
    (libc::SYS_mprotect, &[without(2, libc::PROT_EXEC)]),
    (libc::SYS_mremap, ANY),
    (libc::SYS_munmap, ANY),
    (libc::SYS_madvise, ANY),
    (libc::SYS_getrandom, ANY),
    // What programs and maps may lock, before Linux 5.11.
    (libc::SYS_prlimit64, &[is(0, 0)]),
];

/// Time, waiting, and signals that end it.
const WAITING: &[Call] = &[
    (libc::SYS_clock_gettime, ANY),
    (libc::SYS_clock_nanosleep, ANY),
    (libc::SYS_nanosleep, ANY),
    (libc::SYS_ppoll, ANY),
    (libc::SYS_epoll_create1, ANY),
    (libc::SYS_epoll_ctl, ANY),
    (libc::SYS_epoll_pwait, ANY),
    (libc::SYS_eventfd2, ANY),
    (libc::SYS_ioctl, &[is(1, libc::FIONBIO as i32)]),
    (libc::SYS_rt_sigaction, ANY),
    (libc::SYS_rt_sigprocmask, ANY),
    (libc::SYS_rt_sigreturn, ANY),
    (libc::SYS_sigaltstack, ANY),
    (libc::SYS_restart_syscall, ANY),
];

/// Threads, none of which is a process.
const THREADS: &[Call] = &[
    (libc::SYS_clone, &[with(0, libc::CLONE_THREAD)]),
    // Refused by a filter of its own.
    (libc::SYS_clone3, ANY),
    (libc::SYS_set_robust_list, ANY),
    (libc::SYS_rseq, ANY),
    (libc::SYS_futex, ANY),
    (libc::SYS_membarrier, ANY),
    (libc::SYS_sched_yield, ANY),
    (libc::SYS_sched_getaffinity, ANY),
    (libc::SYS_getpid, ANY),
    (libc::SYS_gettid, ANY),
    (libc::SYS_geteuid, ANY),
    (libc::SYS_getuid, ANY),
    (libc::SYS_prctl, &[is(0, libc::PR_SET_NAME)]),
    // The thread that makes a loader opens no files.
    (libc::SYS_prctl, &[is(0, libc::PR_SET_NO_NEW_PRIVS)]),
    (libc::SYS_seccomp, ANY),
    (libc::SYS_exit, ANY),
    (libc::SYS_exit_group, ANY),
];

/// Files that are read: /proc, control groups, the guard and its lists. Nothing is opened for writing.
const READING: &[Call] = &[
    (libc::SYS_openat, &[without(2, libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC)]),
    (libc::SYS_read, ANY),
    (libc::SYS_readv, ANY),
    (libc::SYS_pread64, ANY),
    (libc::SYS_lseek, ANY),
    (libc::SYS_close, ANY),
    (libc::SYS_fstat, ANY),
    (libc::SYS_newfstatat, ANY),
    (libc::SYS_statx, ANY),
    (libc::SYS_fstatfs, ANY),
    (libc::SYS_statfs, ANY),
    (libc::SYS_faccessat2, ANY),
    (libc::SYS_readlinkat, ANY),
    (libc::SYS_getdents64, ANY),
    (libc::SYS_getcwd, ANY),
    (libc::SYS_uname, ANY),
    (libc::SYS_fcntl, ANY),
    (libc::SYS_dup, ANY),
    (libc::SYS_pipe2, ANY),
    // Lists are watched, also those that a guard names later.
    (libc::SYS_inotify_add_watch, ANY),
];

/// What is said, and the summary, which is open from the beginning.
const SAYING: &[Call] = &[
    (libc::SYS_write, ANY),
    (libc::SYS_writev, ANY),
    (libc::SYS_pwrite64, ANY),
    (libc::SYS_ftruncate, ANY),
    (libc::SYS_fsync, ANY),
    // Whether it is a terminal, and how wide.
    (libc::SYS_ioctl, &[is(1, libc::TCGETS as i32)]),
    (libc::SYS_ioctl, &[is(1, libc::TIOCGWINSZ as i32)]),
];

/// Programs and maps, and where they are attached: by netlink, at sockets of other processes, at control groups.
const ATTACHING: &[Call] = &[
    (libc::SYS_bpf, ANY),
    (libc::SYS_pidfd_open, ANY),
    (libc::SYS_pidfd_getfd, ANY),
    (libc::SYS_getsockopt, ANY),
    (libc::SYS_setsockopt, ANY),
    (libc::SYS_getsockname, ANY),
    (libc::SYS_getpeername, ANY),
    (libc::SYS_socket, &[is(0, libc::AF_NETLINK)]),
    // sd_notify(3), and by which if_nametoindex(3) asks.
    (libc::SYS_socket, &[is(0, libc::AF_UNIX)]),
    (libc::SYS_ioctl, &[is(1, libc::SIOCGIFINDEX as i32)]),
    (libc::SYS_socketpair, ANY),
    (libc::SYS_bind, ANY),
    (libc::SYS_connect, ANY),
    (libc::SYS_sendto, ANY),
    (libc::SYS_sendmsg, ANY),
    (libc::SYS_recvfrom, ANY),
    (libc::SYS_recvmsg, ANY),
];

/// Who asks at the control socket or for metrics; the socket goes at the end.
const ANSWERING: &[Call] = &[(libc::SYS_accept4, ANY), (libc::SYS_shutdown, ANY), (libc::SYS_unlinkat, ANY)];

/// What newer architectures have only the call with a folder of.
#[cfg(target_arch = "x86_64")]
const OLDER: &[Call] = &[
    (libc::SYS_poll, ANY),
    (libc::SYS_epoll_wait, ANY),
    (libc::SYS_stat, ANY),
    (libc::SYS_lstat, ANY),
    (libc::SYS_access, ANY),
    (libc::SYS_readlink, ANY),
    (libc::SYS_unlink, ANY),
    (libc::SYS_rmdir, ANY),
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[Call] = &[];

/// Captures of samples, and the files that tell which sockets have weir's filter. They may be opened anew at any time.
const WRITING: &[Call] = &[
    (libc::SYS_openat, &[without(2, libc::O_ACCMODE), with(2, libc::O_CREAT)]),
    (libc::SYS_openat, &[with(2, libc::O_WRONLY)]),
    (libc::SYS_openat, &[with(2, libc::O_RDWR)]),
    (libc::SYS_flock, ANY),
    (libc::SYS_fchmod, ANY),
    (libc::SYS_mkdirat, ANY),
    (libc::SYS_renameat, ANY),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, ANY),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, ANY),
];

/// All of them. What isn't here is refused: no program is begun, no process looked into, nothing mounted.
const KEPT: &[&[Call]] = &[MEMORY, WAITING, THREADS, READING, SAYING, ATTACHING, ANSWERING, OLDER];

/// The calls, each with the conditions one of which must hold where there are any; those that open files for writing where it `writes` some.
pub(super) fn kept(writes: bool) -> Result<BTreeMap<libc::c_long, Vec<SeccompRule>>, BackendError> {
    let mut kept = BTreeMap::<_, Vec<_>>::new();
    let written = if writes { WRITING } else { &[] };
    for (call, conditions) in KEPT.iter().copied().flatten().chain(written) {
        let rules = kept.entry(*call).or_default();
        let conditions = conditions.iter().map(|(argument, compared, value)| {
            SeccompCondition::new(*argument, Dword, compared.clone(), u64::from(*value))
        });
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        if !conditions.is_empty() {
            rules.push(SeccompRule::new(conditions)?);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_stands_twice_with_and_without_conditions() {
        for (at, (call, conditions)) in KEPT.iter().copied().flatten().enumerate() {
            let others = KEPT.iter().copied().flatten().enumerate().filter(|(other, _)| *other != at);
            let is_wide = |other: &[Condition]| conditions.is_empty() || other.is_empty();
            let twice = others.map(|(_, other)| other).find(|(other, its)| other == call && is_wide(its));
            assert!(twice.is_none(), "call {call}: the one without conditions would be lost");
        }
    }
}
