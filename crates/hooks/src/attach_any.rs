//! Attaching anybody's program to whatever takes its type, for as long as a guard lives.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use aya::programs::{ProgramError, TracePoint, trace_point::TracePointError};
use aya_obj::generated::{
    XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE,
    bpf_attach_type::{self, BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET_INGRESS, BPF_XDP},
};
use weir_asm::text::nearest;
use weir_filters::{Hook, names};

use crate::{
    AnyProgram, BoundSocket, HookError, Interface, ProgramType, SocketHolder, XdpMode,
    attached::{Hold, SocketOptions},
    attaching::{call_with_reason, is_the_drivers, tc},
    sockets::refuse_filtered,
    sys, tracefs,
};

/// What anybody's program is attached to; which types of programs it takes follows.
#[derive(Clone, Copy, Debug)]
pub enum AttachPoint<'a> {
    /// A tracepoint of the kernel, which every process of the machine comes by (Linux 4.7).
    TracePoint {
        /// Such as `syscalls`.
        category: &'a str,
        /// Such as `sys_enter_recvfrom`.
        name: &'a str,
    },
    /// A socket that has no filter yet (`SO_ATTACH_BPF`, Linux 3.19), which is kept open meanwhile.
    Socket(BorrowedFd<'a>),
    /// Such a socket of another process, which isn't: whoever has it may close it, and bind anew.
    Anothers(&'a BoundSocket, SocketHolder),
    /// An open folder of a control group: its sockets, and those of the groups below it (a link, Linux 5.7).
    Cgroup(BorrowedFd<'a>, Direction),
    /// An interface, behind what is attached there already: a tcx link (Linux 6.6), or below that a filter of the qdisc
    /// clsact, which outlives a killed process ([`crate::ClsactFilter`]).
    Tc(&'a Interface, Direction),
    /// An interface, which takes one program (a link, Linux 5.9).
    Xdp(&'a Interface, XdpMode),
}

/// Which way packets go that a program sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// In.
    #[default]
    Ingress,
    /// Out.
    Egress,
}

names! {
    /// The name on the command line.
    "direction", Direction::as_str { Ingress = "ingress", Egress = "egress" }
}

/// Keeps anybody's program attached; dropping it detaches. Nothing is pinned: where a killed process leaves the program
/// attached, that is a socket of another process, which keeps its filter until it is closed, or tc without links.
#[derive(Debug)]
#[must_use = "dropping the guard detaches the program"]
pub struct AttachedProgram {
    hold: Hold,
    mode: Option<XdpMode>,
    fallback: Option<String>,
}

impl AttachedProgram {
    /// The mode that an XDP program runs in, never [`XdpMode::Auto`]; nothing elsewhere.
    pub fn mode(&self) -> Option<XdpMode> {
        self.mode
    }

    /// Whether the program stays attached where its process is killed, as a filter at tc does before Linux 6.6.
    pub fn outlives_its_process(&self) -> bool {
        matches!(self.hold, Hold::Clsact(_))
    }

    /// Why an XDP program runs in generic mode that might have run in the driver.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Detaches the program, as dropping does, and says what dropping can't.
    ///
    /// # Errors
    /// It stays at another process's socket, which can't be had any more.
    pub fn detach(mut self) -> Result<(), HookError> {
        self.hold.let_go()
    }

    fn of(hold: Hold) -> Self {
        Self { hold, mode: None, fallback: None }
    }
}

impl AttachPoint<'_> {
    /// The type of the programs that it takes.
    pub fn program_type(&self) -> ProgramType {
        match self {
            Self::TracePoint { .. } => ProgramType::TracePoint,
            Self::Socket(_) | Self::Anothers(..) => ProgramType::Socket,
            Self::Cgroup(..) => ProgramType::CgroupSkb,
            Self::Tc(..) => ProgramType::Tc,
            Self::Xdp(..) => ProgramType::Xdp,
        }
    }
}

impl AnyProgram {
    /// Attaches the program, which runs from now on until the guard is dropped.
    ///
    /// Needs root; or CAP_PERFMON and a readable tracefs at a tracepoint (it is mounted for this process alone where it is
    /// mounted nowhere, which takes CAP_SYS_ADMIN), CAP_NET_ADMIN at control groups and interfaces, nothing at a socket.
    ///
    /// # Errors
    /// The program is of another type than `point` takes; there is no such tracepoint (the nearest is suggested); a socket
    /// has a filter already, whoever's, which isn't replaced; or what the kernel says, with the reason where it is known.
    pub fn attach(&mut self, point: AttachPoint<'_>) -> Result<AttachedProgram, HookError> {
        let (wanted, found) = (point.program_type(), self.program_type());
        if wanted != found {
            return Err(
                self.refused(format!("it is of type {found}, and a program of type {wanted} goes there"))
            );
        }
        match point {
            AttachPoint::TracePoint { category, name } => self.at_tracepoint(category, name),
            AttachPoint::Socket(socket) => {
                let held = socket.try_clone_to_owned();
                let held =
                    held.map_err(|error| self.call_error(Hook::Socket, "fcntl F_DUPFD_CLOEXEC", error))?;
                self.at_socket(socket)?;
                Ok(AttachedProgram::of(Hold::Slot(held, SocketOptions::FILTER)))
            }
            AttachPoint::Anothers(socket, holder) => {
                self.at_socket(socket.lent_by(holder)?.as_fd())?;
                Ok(AttachedProgram::of(Hold::Anothers(Some(socket.clone()))))
            }
            AttachPoint::Cgroup(folder, direction) => {
                let attach_type = match direction {
                    Direction::Ingress => BPF_CGROUP_INET_INGRESS,
                    Direction::Egress => BPF_CGROUP_INET_EGRESS,
                };
                self.link(Hook::Cgroup, folder.as_raw_fd() as u32, attach_type, 0).map(AttachedProgram::of)
            }
            AttachPoint::Tc(interface, direction) => {
                let program = self.program_fd()?;
                let link = |attach_type| {
                    sys::create_link(program, interface.index(), attach_type, 0).map(Hold::Link)
                };
                let hold = tc(interface, direction, self.name(), program, link);
                hold.map(AttachedProgram::of).map_err(|(call, error)| self.call_error(Hook::Tc, call, error))
            }
            AttachPoint::Xdp(interface, mode) => self.at_interface(interface, mode),
        }
    }

    fn at_tracepoint(&mut self, category: &str, name: &str) -> Result<AttachedProgram, HookError> {
        let what = self.name().to_owned();
        let link = tracefs::mounted(|| {
            let attached = self.tracepoint().and_then(|program| {
                let link = program.attach(category, name)?;
                program.take_link(link)
            });
            attached.map_err(|error| match error {
                ProgramError::TracePointError(TracePointError::FileError { io_error, .. })
                    if io_error.kind() == io::ErrorKind::NotFound =>
                {
                    let tracepoint = format!("{category}/{name}");
                    let nearest = nearest_tracepoint(&tracepoint);
                    HookError::NoTracepoint { what, tracepoint, nearest }
                }
                // kernel/trace/bpf_trace.c and kernel/events/core.c, perf_event_set_bpf_prog
                ProgramError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::EACCES) => {
                    let reason = "it reads more than the tracepoint's record has, or this process lacks CAP_PERFMON; \
                                  the file `format` beside the tracepoint's id shows the record";
                    HookError::Other { doing: "attaching", what, reason: format!("{}: {}: {reason}", error.call, error.io_error) }
                }
                error => HookError::probe("attaching", &what, error),
            })
        })?;
        Ok(AttachedProgram::of(Hold::TracePoint { _link: link }))
    }

    fn tracepoint(&mut self) -> Result<&mut TracePoint, ProgramError> {
        self.program_mut().try_into()
    }

    fn at_socket(&self, socket: BorrowedFd<'_>) -> Result<(), HookError> {
        let failed = |call, io_error| self.call_error(Hook::Socket, call, io_error);
        let free = refuse_filtered(socket).map_err(|error| failed("getsockopt SO_GET_FILTER", error))?;
        free.map_err(|refusal| HookError::RefusedSocket {
            step: format!("attaching of {} to the socket", self.name()),
            refusal,
        })?;
        let (call, done) = SocketOptions::FILTER.fill(socket, self.program_fd()?);
        done.map_err(|error| failed(call, error))
    }

    fn at_interface(&self, interface: &Interface, mode: XdpMode) -> Result<AttachedProgram, HookError> {
        let attach = |mode| {
            let flags = if mode == XdpMode::Generic { XDP_FLAGS_SKB_MODE } else { XDP_FLAGS_DRV_MODE };
            let hold = self.link(Hook::Xdp, interface.index(), BPF_XDP, flags)?;
            Ok(AttachedProgram { mode: Some(mode), ..AttachedProgram::of(hold) })
        };
        if mode != XdpMode::Auto {
            return attach(mode);
        }
        match attach(XdpMode::Native) {
            Err(HookError::Call { io_error, .. }) if is_the_drivers(&io_error) => {
                let fallback = Some(format!("{interface} takes no program in its driver: {io_error}"));
                Ok(AttachedProgram { fallback, ..attach(XdpMode::Generic)? })
            }
            attached => attached,
        }
    }

    fn link(
        &self,
        hook: Hook,
        target: u32,
        attach_type: bpf_attach_type,
        flags: u32,
    ) -> Result<Hold, HookError> {
        let link = sys::create_link(self.program_fd()?, target, attach_type, flags);
        link.map(Hold::Link).map_err(|error| self.call_error(hook, "BPF_LINK_CREATE", error))
    }

    fn program_fd(&self) -> Result<BorrowedFd<'_>, HookError> {
        let fd = self.program().fd().map_err(|error| {
            HookError::program("attaching", self.name(), self.program_type().needed(), error)
        })?;
        Ok(fd.as_fd())
    }

    fn call_error(&self, hook: Hook, call: &str, io_error: io::Error) -> HookError {
        let call = call_with_reason(hook, call, &io_error);
        HookError::call("attaching", self.name(), self.program_type().needed(), call, io_error)
    }

    fn refused(&self, reason: String) -> HookError {
        HookError::Other { doing: "attaching", what: self.name().to_owned(), reason }
    }
}

/// Where tracefs is mounted.
fn nearest_tracepoint(wanted: &str) -> Option<String> {
    let known = std::fs::read_to_string(format!("{}/available_events", tracefs::TRACEFS)).ok()?;
    let known: Vec<_> = known.lines().map(|line| line.replacen(':', "/", 1)).collect();
    nearest(wanted, known.iter().map(String::as_str)).map(str::to_owned)
}
