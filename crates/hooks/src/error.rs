//! What can go wrong between user space and the kernel's BPF side, and what to do about it.

use std::io;

use aya::{
    EbpfError,
    programs::{ProgramError, SocketFilterError},
    sys::SyscallError,
};
use thiserror::Error;
use weir_filters::Gap;

use crate::maps::MapFailure;

/// A step that failed: what was tried, what came back, and the remedy where there is one.
#[derive(Debug, Error)]
pub enum HookError {
    /// The combination of filter, toolkit and hook doesn't exist.
    #[error("{what} can't run there: {gap}")]
    Unavailable {
        /// The filter.
        what: String,
        /// The reason.
        gap: Gap,
    },
    /// Somebody's object that can't be used for what was asked.
    #[error("{what} can't be attached: {reason}")]
    Unfit {
        /// The object.
        what: String,
        /// The reason, and what to do.
        reason: String,
    },
    /// The object can't be read, or its maps can't be made.
    #[error("loading {what}: {reason}{}", remedy(.reason))]
    Object {
        /// The filter.
        what: String,
        /// What came back.
        reason: String,
    },
    /// The kernel refused the program.
    #[error("loading {what}: BPF_PROG_LOAD: {io_error}{}{}", refusal(.io_error, .verifier_log), log_of(.verifier_log))]
    Load {
        /// The filter.
        what: String,
        /// What the system call returned.
        io_error: io::Error,
        /// The verifier's log; empty where it didn't get that far.
        verifier_log: String,
    },
    /// A system call on a program or a map failed.
    #[error("{doing} of {what}: {call}: {io_error}{}", remedy(&.io_error.to_string()))]
    Call {
        /// The step, such as "attaching".
        doing: &'static str,
        /// The filter.
        what: String,
        /// The system call.
        call: String,
        /// What it returned.
        io_error: io::Error,
    },
    /// Anything else that aya reports.
    #[error("{doing} of {what}: {reason}")]
    Other {
        /// The step.
        doing: &'static str,
        /// The filter.
        what: String,
        /// What came back.
        reason: String,
    },
    /// A program would take a packet of several datagrams for its first one, where one can come in; a program with
    /// [`weir_filters::Site::gso`] wouldn't.
    #[error("{doing} of {what}: {reason}")]
    SuperPackets {
        /// The step.
        doing: &'static str,
        /// The filter.
        what: String,
        /// By what they come in, and what to do.
        reason: String,
        /// Why XDP would run in generic mode there, where it might have run in the driver.
        fallback: Option<String>,
    },
    /// BPF statistics can't be switched on.
    #[error(
        "switching BPF statistics on: BPF_ENABLE_STATS: {0}; needs Linux 5.8 or newer and CAP_SYS_ADMIN (or root)"
    )]
    Statistics(io::Error),
    /// A map couldn't be opened, read or changed.
    #[error(transparent)]
    Map(#[from] MapFailure),
    /// A program at a tracepoint can't be loaded, attached or asked.
    #[error("{doing} {what}: {reason}{}", probe_remedy(.reason))]
    Probe {
        /// The step.
        doing: &'static str,
        /// The probe, or the program.
        what: String,
        /// What came back.
        reason: String,
    },
    /// The kernel has no such tracepoint.
    #[error("attaching {what} to the tracepoint {tracepoint}: this kernel has none of that name{}", meant(.tracepoint, .nearest))]
    NoTracepoint {
        /// The program.
        what: String,
        /// Category and name.
        tracepoint: String,
        /// The one that may have been meant.
        nearest: Option<String>,
    },
    /// A socket of another process can't be had.
    #[error("looking for {what}: {reason}")]
    ForeignSocket {
        /// The socket.
        what: String,
        /// What came back, and what to do.
        reason: String,
    },
    /// tracefs is mounted nowhere and can't be.
    #[error(
        "tracepoints are listed in tracefs, which is not mounted; mounting it for this process alone: {0}; needs root, \
         or have root mount it where this user's group can read it: \
         `mount -t tracefs -o mode=750,gid=GROUP tracefs /sys/kernel/tracing`"
    )]
    Tracefs(io::Error),
    /// The trace buffer can't be read.
    #[error("reading the kernel's trace buffer (trace_pipe): {io_error}{}", trace_pipe_remedy(.io_error))]
    TracePipe {
        /// What the system call returned.
        io_error: io::Error,
    },
    /// The process can't tell its pid namespace.
    #[error("looking at /proc/self/ns/pid: {0}; is /proc mounted?")]
    PidNamespace(io::Error),
}

fn meant(tracepoint: &str, nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None if tracepoint.starts_with("syscalls/") => {
            "; system calls have theirs by CONFIG_FTRACE_SYSCALLS, named sys_enter_CALL and sys_exit_CALL"
                .to_owned()
        }
        None => "; the folders of /sys/kernel/tracing/events are categories, with names in them".to_owned(),
    }
}

fn probe_remedy(reason: &str) -> &'static str {
    if reason.contains("os error 1)") || reason.contains("os error 13)") {
        "; needs root, or CAP_BPF and CAP_PERFMON (`setcap cap_bpf,cap_perfmon+ep` on the binary) and a tracefs that \
         this user can read"
    } else if reason.contains("tracefs not found") {
        "; it is mounted and this user can't read it; needs root, CAP_DAC_READ_SEARCH, or a group that it lets in: \
         `mount -o remount,mode=750,gid=GROUP /sys/kernel/tracing`"
    } else if reason.contains("os error 2)") {
        "; this kernel has no such tracepoint: it needs CONFIG_FTRACE_SYSCALLS"
    } else {
        ""
    }
}

fn trace_pipe_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ResourceBusy => {
            "; another process reads it, and it has one reader at a time: end that one"
        }
        io::ErrorKind::PermissionDenied => "; needs root or CAP_DAC_READ_SEARCH",
        _ => "",
    }
}

fn remedy(reason: &str) -> &'static str {
    if reason.contains("os error 1)") || reason.contains("os error 13)") {
        "; needs root, or CAP_BPF (`setcap cap_bpf+ep` on the binary), elsewhere than at sockets CAP_NET_ADMIN too, and at \
         xdp CAP_PERFMON"
    } else if reason.contains("os error 38)") {
        "; this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"
    } else if reason.contains("os error 12)") {
        "; kernels before 5.11 charge BPF memory to RLIMIT_MEMLOCK: raise it (`ulimit -l unlimited`)"
    } else {
        ""
    }
}

/// The verifier says EACCES too: with a log, privilege is not what lacks, but for what kernel/bpf/verifier.c calls
/// prohibited to who may not learn addresses.
fn refusal(io_error: &io::Error, verifier_log: &str) -> &'static str {
    if verifier_log.trim().is_empty() {
        remedy(&io_error.to_string())
    } else if ["pointer -= pointer prohibited", "pointer comparison prohibited"]
        .iter()
        .any(|prohibited| verifier_log.contains(prohibited))
    {
        "; the verifier refuses it: comparing a packet's addresses needs CAP_PERFMON, or root"
    } else {
        "; the verifier refuses it"
    }
}

fn log_of(verifier_log: &str) -> String {
    match verifier_log.trim_end() {
        "" => String::new(),
        log => {
            // What was refused stands at the end; before it the verifier may have walked through a million states.
            let before = log.lines().count().saturating_sub(LOG_LINES);
            let cut = if before > 0 { format!(" (its last {LOG_LINES} lines)") } else { String::new() };
            format!("\nthe verifier's log{cut}:\n{}", log.lines().skip(before).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// Lines of a verifier's log that an error shows.
const LOG_LINES: usize = 60;

impl HookError {
    pub(crate) fn object(what: &str, error: EbpfError) -> Self {
        Self::Object { what: what.to_owned(), reason: chain(&error) }
    }

    /// What was assembled and can't be written as an object.
    pub(crate) fn object_to_elf(what: &str, error: &weir_asm::ElfError) -> Self {
        Self::Object { what: what.to_owned(), reason: error.to_string() }
    }

    pub(crate) fn program(doing: &'static str, what: &str, error: ProgramError) -> Self {
        let what = what.to_owned();
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                Self::Load { what, io_error, verifier_log: verifier_log.to_string() }
            }
            ProgramError::SyscallError(SyscallError { call, io_error }) => {
                Self::Call { doing, what, call: call.to_owned(), io_error }
            }
            ProgramError::SocketFilterError(SocketFilterError::SetsockoptError { option, io_error }) => {
                Self::Call { doing, what, call: format!("setsockopt {option}"), io_error }
            }
            error => Self::Other { doing, what, reason: chain(&error) },
        }
    }

    /// A tracepoint's object that can't be loaded.
    pub(crate) fn probe_object(what: &str, error: EbpfError) -> Self {
        Self::Probe { doing: "loading", what: what.to_owned(), reason: chain(&error) }
    }

    /// A step with a program at a tracepoint.
    pub(crate) fn probe(doing: &'static str, what: &str, error: ProgramError) -> Self {
        let what = what.to_owned();
        match error {
            ProgramError::LoadError { verifier_log, io_error }
                if !verifier_log.to_string().trim().is_empty() =>
            {
                Self::Load { what, io_error, verifier_log: verifier_log.to_string() }
            }
            ProgramError::LoadError { io_error, .. } => {
                Self::Probe { doing, what, reason: format!("BPF_PROG_LOAD: {io_error}") }
            }
            error => Self::Probe { doing, what, reason: chain(&error) },
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}
