//! What can go wrong between user space and the kernel's BPF side, and what to do about it.

use std::{error::Error as StdError, fmt, io};

use aya::{
    EbpfError,
    programs::{ProgramError, SocketFilterError},
    sys::SyscallError,
};
use thiserror::Error;
use weir_asm::{ElfFile, SourceLine};
use weir_filters::{Gap, Site};

use crate::{
    Occupant, PinError, SocketRefusal,
    maps::MapFailure,
    obstacle::{Capability, MAPS, Obstacle},
};

/// Where the kernel's own types are (CONFIG_DEBUG_INFO_BTF, Linux 5.4).
pub(crate) const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";

/// An error of the kernel's own that user space has no name for (include/linux/errno.h).
pub(crate) const ENOTSUPP: i32 = 524;

/// What came back from below: an error with its own causes in one line, and the number of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    text: String,
    errno: Option<i32>,
}

impl Cause {
    /// An error and what caused it.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut cause = Self { text: error.to_string(), errno: errno_of(error) };
        let mut next = error.source();
        while let Some(error) = next {
            let part = error.to_string();
            if !cause.text.contains(&part) {
                cause.text = format!("{}: {part}", cause.text);
            }
            cause.errno = cause.errno.or_else(|| errno_of(error));
            next = error.source();
        }
        cause
    }
}

fn errno_of(error: &(dyn StdError + 'static)) -> Option<i32> {
    // aya passes on the source of an error of the kernel, not the error.
    let passed_on = error.downcast_ref::<ProgramError>().and_then(|error| match error {
        ProgramError::IOError(error) => Some(error),
        _ => None,
    });
    passed_on.or_else(|| error.downcast_ref()).and_then(io::Error::raw_os_error)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a program at a tracepoint asks for.
const TRACING: &[Capability] = &[Capability::Bpf, Capability::Perfmon];

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
    #[error("loading {what}: {cause}{}", remedy(self))]
    Object {
        /// The filter.
        what: String,
        /// What that means, where it is known.
        obstacle: Option<Obstacle>,
        /// What came back.
        cause: Cause,
    },
    /// The kernel refused the program.
    #[error("loading {what}: BPF_PROG_LOAD: {io_error}{}{}{}", remedy(self), refused_line(.line), log_of(.verifier_log))]
    Load {
        /// The filter.
        what: String,
        /// What that means, where it is known.
        obstacle: Option<Obstacle>,
        /// What the system call returned.
        io_error: io::Error,
        /// The verifier's log; empty where it didn't get that far.
        verifier_log: String,
        /// The source line of the instruction at which the verifier stopped, where it is known.
        line: Option<Box<SourceLine>>,
        /// What it was made for, where it is a guard's: [`HookError::with_rule`] makes it again.
        site: Option<Box<Site>>,
    },
    /// A system call on a program or a map failed.
    #[error("{doing} of {what}: {call}: {io_error}{}", remedy(self))]
    Call {
        /// The step, such as "attaching".
        doing: &'static str,
        /// The filter.
        what: String,
        /// What that means, where it is known.
        obstacle: Option<Obstacle>,
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
    /// The running kernel's types don't have what a program needs of them.
    #[error("reading the types of {KERNEL_TYPES}: {reason}")]
    KernelLacks {
        /// What is lacking, and since when kernels have it.
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
    #[error("{doing} {what}: {cause}{}", remedy(self))]
    Probe {
        /// The step.
        doing: &'static str,
        /// The probe, or the program.
        what: String,
        /// What came back.
        cause: Cause,
        /// What that means, where it is known.
        obstacle: Option<Obstacle>,
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
    /// Another program is where one was to be attached.
    #[error("attaching of {what} to {place}: {occupant}")]
    Occupied {
        /// The filter.
        what: String,
        /// Where.
        place: String,
        /// What is there.
        occupant: Occupant,
    },
    /// A socket takes no program.
    #[error("{step}: {refusal}")]
    RefusedSocket {
        /// What was tried, on which socket.
        step: String,
        /// Why.
        refusal: SocketRefusal,
    },
    /// Something of it can't be kept in bpffs, or what is kept can't be had.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// tracefs is mounted nowhere and can't be.
    #[error(
        "tracepoints are listed in tracefs, which is not mounted; mounting it for this process alone: {0}; needs root, \
         or have root mount it where this user's group can read it: \
         `mount -t tracefs -o mode=750,gid=GROUP tracefs /sys/kernel/tracing`"
    )]
    Tracefs(io::Error),
    /// The trace buffer can't be read.
    #[error("reading the kernel's trace buffer (trace_pipe): {0}{remedy}", remedy = trace_pipe_remedy(.0))]
    TracePipe(io::Error),
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

fn trace_pipe_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ResourceBusy => {
            "; another process reads it, and it has one reader at a time: end that one"
        }
        io::ErrorKind::PermissionDenied => "; needs root or CAP_DAC_READ_SEARCH",
        _ => "",
    }
}

/// What to do, behind what came back.
fn remedy(error: &HookError) -> String {
    error.obstacle().map_or_else(String::new, |obstacle| format!("; {obstacle}"))
}

fn refused_line(line: &Option<Box<SourceLine>>) -> String {
    line.as_ref().map_or_else(String::new, |line| format!("\nwhat was refused comes from {line}"))
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
    /// Why the kernel refused, where that is known.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::Object { obstacle, .. }
            | Self::Load { obstacle, .. }
            | Self::Call { obstacle, .. }
            | Self::Probe { obstacle, .. } => *obstacle,
            _ => None,
        }
    }

    /// In a line, what the machine or the process lacks, where it failed for that.
    pub fn lack(&self) -> Option<String> {
        self.obstacle()?.is_a_lack().then(|| self.in_a_line())
    }

    /// What it says in one line: the first one, and of a refused program the verifier's last word, which stands before its
    /// statistics.
    pub fn in_a_line(&self) -> String {
        let text = self.to_string();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let said = lines.rev().find(|line| !line.is_empty() && !line.starts_with("processed "));
        said.map_or_else(|| first.to_owned(), |said| format!("{first} {}", said.trim()))
    }

    /// What it says in one line, without what to do; [`HookError::obstacle`] says that.
    pub fn what_happened(&self) -> String {
        self.in_a_line().replace(&remedy(self), "")
    }

    /// An object that can't be read or loaded, or what was assembled and can't be written as one.
    pub(crate) fn object(what: impl Into<String>, error: &(dyn StdError + 'static)) -> Self {
        Self::object_with(what.into(), MAPS, error)
    }

    /// The object of a program that traces.
    pub(crate) fn probe_object(what: &str, error: &EbpfError) -> Self {
        Self::object_with(what.to_owned(), TRACING, error)
    }

    fn object_with(what: String, needed: &[Capability], error: &(dyn StdError + 'static)) -> Self {
        let mut cause = Cause::of(error);
        if matches!(error.downcast_ref(), Some(EbpfError::ParseError(_))) {
            // It names what stands in the object, where a name may have lines of its own.
            cause.text = cause.text.replace('\n', "\\u000a");
        }
        Self::Object { what, obstacle: Obstacle::of(cause.errno, needed), cause }
    }

    /// A program that takes the capabilities `needed` and isn't let in.
    pub fn load(what: String, needed: &[Capability], io_error: io::Error, verifier_log: String) -> Self {
        // The verifier says EACCES too: with a log, it walked through the program.
        let obstacle = match verifier_log.trim() {
            _ if io_error.raw_os_error() == Some(ENOTSUPP) => Some(Obstacle::Compiler),
            "" => Obstacle::of(io_error.raw_os_error(), needed),
            _ if io_error.raw_os_error() == Some(libc::EFAULT) => Some(Obstacle::VerifierBug),
            _ => Some(Obstacle::of_verifier()),
        };
        Self::Load { what, obstacle, io_error, verifier_log, line: None, site: None }
    }

    /// The same with the source line of the instruction at which the verifier stopped, as the object says. Kernels name a line
    /// where they come to it, which may be far above the log's end, and older ones without its file and number.
    pub(crate) fn with_line_of(mut self, file: &ElfFile, program: &str) -> Self {
        if let Self::Load { verifier_log, line, .. } = &mut self {
            let slot = |line: &str| line.split_once(": (")?.0.parse().ok();
            let stopped = verifier_log.lines().rev().find_map(slot);
            *line = stopped.and_then(|slot| file.line_of(program, slot)).cloned().map(Box::new);
        }
        self
    }

    /// A system call on a program that takes the capabilities `needed`.
    pub(crate) fn call(
        doing: &'static str,
        what: &str,
        needed: &[Capability],
        call: impl Into<String>,
        io_error: io::Error,
    ) -> Self {
        let call = call.into();
        let obstacle = match io_error.raw_os_error() {
            Some(libc::ENOMEM) if call.starts_with("setsockopt") => Some(Obstacle::OptionMemory),
            errno => Obstacle::of(errno, needed),
        };
        Self::Call { doing, what: what.to_owned(), obstacle, call, io_error }
    }

    /// A step with a program that takes the capabilities `needed`.
    pub(crate) fn program(
        doing: &'static str,
        what: &str,
        needed: &[Capability],
        error: ProgramError,
    ) -> Self {
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                Self::load(what.to_owned(), needed, io_error, verifier_log.to_string())
            }
            ProgramError::SyscallError(SyscallError { call, io_error }) => {
                Self::call(doing, what, needed, call, io_error)
            }
            ProgramError::SocketFilterError(SocketFilterError::SetsockoptError { option, io_error }) => {
                Self::call(doing, what, needed, format!("setsockopt {option}"), io_error)
            }
            error => Self::Other { doing, what: what.to_owned(), reason: Cause::of(&error).text },
        }
    }

    /// A step with a program that traces.
    pub(crate) fn probe(doing: &'static str, what: &str, error: ProgramError) -> Self {
        if matches!(error, ProgramError::LoadError { .. }) {
            return Self::program(doing, what, TRACING, error);
        }
        // What aya says of a tracefs that it can't list is no error of the kernel's.
        let lacks_tracefs = matches!(&error, ProgramError::IOError(error) if error.raw_os_error().is_none());
        let cause = Cause::of(&error);
        let obstacle = match cause.errno {
            _ if lacks_tracefs => Some(Obstacle::Tracefs),
            Some(libc::ENOENT) => Some(Obstacle::NoTracepoint),
            errno => Obstacle::of_probe(errno, TRACING),
        };
        Self::Probe { doing, what: what.to_owned(), cause, obstacle }
    }
}
