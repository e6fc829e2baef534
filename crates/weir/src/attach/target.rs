//! What a program is attached to, as its section says or the command line does.

use std::{
    fmt,
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
};

use anyhow::Context as _;
use weir_hooks::{
    AttachPoint, Attachable, BoundSocket, Direction, Interface, ProgramType, SocketHolder, XdpMode,
    owner_of_udp_port, socket_of,
};
use weir_output::exit::UsageError;

/// The arguments that say what to attach to.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// The tracepoint, such as syscalls/sys_enter_recvfrom; by default what the section says (`tracepoint/…`, `tp/…`).
    #[arg(long, value_name = "CATEGORY/NAME", value_parser = tracepoint)]
    tracepoint: Option<(String, String)>,

    /// The interface, for programs of tc and xdp.
    #[arg(long, value_name = "IF")]
    interface: Option<String>,

    /// Which way packets go that it sees, at tc and at control groups: `ingress` or `egress`; by default what the section
    /// says (`tcx/egress`, `cgroup_skb/egress`), or ingress.
    #[arg(long, value_name = "WAY")]
    direction: Option<Direction>,

    /// Where XDP runs: `native` (in the driver), `generic` or `auto` (native where the driver can).
    #[arg(long, value_name = "MODE")]
    xdp_mode: Option<XdpMode>,

    /// The control group, a folder of cgroup2.
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,

    /// The process whose socket it is, with --fd.
    #[arg(long, value_name = "PID", requires = "fd")]
    pid: Option<u32>,

    /// The socket's descriptor in that process; /proc/PID/fd lists them.
    #[arg(long, value_name = "FD", requires = "pid", value_parser = clap::value_parser!(i32).range(0..))]
    fd: Option<i32>,

    /// The one UDP socket on that local port, in place of --pid and --fd.
    #[arg(long, value_name = "PORT", conflicts_with = "pid", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

fn tracepoint(text: &str) -> Result<(String, String), String> {
    let is_name = |part: &str| !part.is_empty() && !part.contains(['/', ':']) && !part.starts_with('.');
    let parts = text.split_once(['/', ':']).filter(|(category, name)| is_name(category) && is_name(name));
    let (category, name) =
        parts.ok_or("it takes a category and a name, such as syscalls/sys_enter_recvfrom")?;
    Ok((category.to_owned(), name.to_owned()))
}

/// What a program is attached to, opened.
pub(crate) enum OpenedTarget {
    /// A tracepoint: category and name.
    TracePoint(String, String),
    /// A descriptor of our own of what somebody has.
    Socket(OwnedFd, SocketHolder),
    /// A UDP socket, of which none is kept.
    Anothers(BoundSocket, SocketHolder),
    /// A control group's folder.
    Cgroup(File, Direction, PathBuf),
    /// An interface's classifiers.
    Tc(Interface, Direction),
    /// An interface's XDP.
    Xdp(Interface, XdpMode),
}

impl TargetArgs {
    /// Opens what the program is to be attached to.
    ///
    /// # Errors
    /// It isn't said, or said of another type of program (a usage error); it isn't there, or may not be had.
    pub(crate) fn target(&self, program: Attachable<'_>) -> anyhow::Result<OpenedTarget> {
        self.refuse_misplaced(program)?;
        let direction = self.direction.or(program.direction()).unwrap_or_default();
        match program.program_type {
            ProgramType::TracePoint => self.tracepoint(program),
            ProgramType::Socket => self.socket(program),
            ProgramType::CgroupSkb => {
                let lacking = || lacking(program, "a control group", "--cgroup PATH");
                let path = self.cgroup.clone().ok_or_else(lacking)?;
                let what = || format!("opening the control group {}", path.display());
                Ok(OpenedTarget::Cgroup(File::open(&path).with_context(what)?, direction, path))
            }
            ProgramType::Xdp => {
                Ok(OpenedTarget::Xdp(self.interface(program)?, self.xdp_mode.unwrap_or_default()))
            }
            _ => Ok(OpenedTarget::Tc(self.interface(program)?, direction)),
        }
    }

    fn refuse_misplaced(&self, program: Attachable<'_>) -> Result<(), UsageError> {
        use ProgramType::{CgroupSkb, Socket, Tc, TracePoint, Xdp};
        let said: [(&str, bool, &[ProgramType]); 6] = [
            ("--tracepoint", self.tracepoint.is_some(), &[TracePoint]),
            ("--interface", self.interface.is_some(), &[Tc, Xdp]),
            ("--direction", self.direction.is_some(), &[Tc, CgroupSkb]),
            ("--xdp-mode", self.xdp_mode.is_some(), &[Xdp]),
            ("--cgroup", self.cgroup.is_some(), &[CgroupSkb]),
            ("--pid, --fd and --port", self.pid.is_some() || self.port.is_some(), &[Socket]),
        ];
        let misplaced =
            said.iter().find(|(_, is_said, types)| *is_said && !types.contains(&program.program_type));
        misplaced.map_or(Ok(()), |(flag, _, types)| {
            let types: Vec<_> = types.iter().map(|known| known.name()).collect();
            let (name, found) = (program.name, program.program_type);
            Err(UsageError(format!(
                "{flag}: for programs of type {}; {name} is of type {found}",
                types.join(" and ")
            )))
        })
    }

    fn tracepoint(&self, program: Attachable<'_>) -> anyhow::Result<OpenedTarget> {
        let in_section =
            || program.tracepoint().map(|(category, name)| (category.to_owned(), name.to_owned()));
        let (category, name) = self
            .tracepoint
            .clone()
            .or_else(in_section)
            .ok_or_else(|| lacking(program, "a tracepoint", "--tracepoint CATEGORY/NAME"))?;
        Ok(OpenedTarget::TracePoint(category, name))
    }

    fn socket(&self, program: Attachable<'_>) -> anyhow::Result<OpenedTarget> {
        match (self.pid.zip(self.fd), self.port) {
            (Some((process, descriptor)), _) => {
                let lent = socket_of(process, descriptor)?;
                let holder = SocketHolder { process, descriptor };
                Ok(match BoundSocket::of(lent.as_fd()) {
                    Some(socket) => OpenedTarget::Anothers(socket, holder),
                    None => OpenedTarget::Socket(lent, holder),
                })
            }
            (None, Some(port)) => {
                let (socket, holder) = owner_of_udp_port(port)?;
                Ok(OpenedTarget::Anothers(socket, holder))
            }
            (None, None) => Err(lacking(program, "a socket", "--port PORT, or --pid PID --fd FD").into()),
        }
    }

    fn interface(&self, program: Attachable<'_>) -> anyhow::Result<Interface> {
        let lacking = || lacking(program, "an interface", "--interface IF");
        let name = self.interface.as_deref().ok_or_else(lacking)?;
        Interface::named(name)
            .with_context(|| format!("looking for the interface {name}, of those that `ip link` lists"))
    }
}

fn lacking(program: Attachable<'_>, what: &str, flags: &str) -> UsageError {
    let Attachable { name, program_type, .. } = program;
    UsageError(format!("{name} ({program_type}) is attached to {what}, and nothing says which; say {flags}"))
}

impl OpenedTarget {
    /// What the program is attached to.
    pub(crate) fn point(&self) -> AttachPoint<'_> {
        match self {
            Self::TracePoint(category, name) => AttachPoint::TracePoint { category, name },
            Self::Socket(socket, _) => AttachPoint::Socket(socket.as_fd()),
            Self::Anothers(socket, holder) => AttachPoint::Anothers(socket, *holder),
            Self::Cgroup(folder, direction, _) => AttachPoint::Cgroup(folder.as_fd(), *direction),
            Self::Tc(interface, direction) => AttachPoint::Tc(interface, *direction),
            Self::Xdp(interface, mode) => AttachPoint::Xdp(interface, *mode),
        }
    }
}

impl fmt::Display for OpenedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TracePoint(category, name) => write!(f, "{category}/{name}"),
            Self::Socket(_, holder) | Self::Anothers(_, holder) => {
                write!(f, "socket {} of process {}", holder.descriptor, holder.process)
            }
            Self::Cgroup(_, direction, path) => write!(f, "{} ({direction})", path.display()),
            Self::Tc(interface, direction) => write!(f, "{interface} ({direction})"),
            Self::Xdp(interface, _) => write!(f, "{interface}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracepoints_are_a_category_and_a_name() {
        let check = |text, expected: Option<(&str, &str)>| {
            let found = tracepoint(text).ok();
            assert_eq!(found.as_ref().map(|(category, name)| (&**category, &**name)), expected, "{text}");
        };
        check("syscalls/sys_enter_read", Some(("syscalls", "sys_enter_read")));
        check("sched:sched_switch", Some(("sched", "sched_switch")));
        for wrong in ["syscalls", "/x", "x/", "a/b/c", "../x", "a/..", ""] {
            check(wrong, None);
        }
    }
}
