//! Attaching a loaded filter to what its hook belongs to, or the reason why that can't be.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

use aya_obj::generated::{
    XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE,
    bpf_attach_type::{self, BPF_CGROUP_INET_INGRESS, BPF_TCX_EGRESS, BPF_TCX_INGRESS, BPF_XDP},
};
use rtnetlink::packet_route::link::LinkLayerType;
use weir_filters::{Endpoint, Hook, SuperPackets};

use crate::{
    Attached, Direction, HookError, Interface, KernelFilter, XdpMode,
    attached::{Hold, SocketOptions},
    clsact::Clsact,
    features,
    filter::Loaded,
    route::link,
    super_packets::{self, Reach},
    sys,
};

/// What to attach to: the thing that a hook belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A socket (`SO_ATTACH_BPF`, Linux 3.19), bound or not. It has one slot: what was attached before is replaced.
    Socket(BorrowedFd<'a>),
    /// The sockets that share a port with this one, bound or not, which has `SO_REUSEPORT`
    /// (`SO_ATTACH_REUSEPORT_EBPF`, Linux 4.19). They have one slot between them.
    Reuseport(BorrowedFd<'a>),
    /// An open folder of a control group: its sockets, and those of the groups below it (a link, Linux 5.7). A socket
    /// belongs to the group that its process was in when it made the socket.
    Cgroup(BorrowedFd<'a>),
    /// An interface, behind what is attached there already: a tcx link (Linux 6.6), or below that a filter of the qdisc
    /// clsact, which outlives a killed process ([`Attached::outlives_its_process`]).
    Tc(&'a Interface),
    /// The same on the way out, where a program made for [`Target::Tc`] sees what this machine sends. What it drops has
    /// cost its sender, and nobody else.
    TcEgress(&'a Interface),
    /// An interface, which takes one program (a link, Linux 5.9).
    Xdp(&'a Interface, XdpMode),
}

impl<'a, S: AsFd> From<&'a S> for Target<'a> {
    fn from(socket: &'a S) -> Self {
        Self::Socket(socket.as_fd())
    }
}

/// What a caller has that hooks belong to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owners<'a> {
    /// A socket, or one of those that share a port.
    pub socket: Option<BorrowedFd<'a>>,
    /// An open folder of a control group.
    pub group: Option<BorrowedFd<'a>>,
    /// An interface.
    pub interface: Option<&'a Interface>,
    /// Where XDP is to run there.
    pub xdp_mode: XdpMode,
}

impl<'a> Owners<'a> {
    /// What programs at that hook are attached to; nothing where the caller hasn't got it, and at the server's own loop.
    pub fn target(self, hook: Hook) -> Option<Target<'a>> {
        match hook {
            Hook::User => None,
            Hook::Socket => self.socket.map(Target::Socket),
            Hook::Reuseport => self.socket.map(Target::Reuseport),
            Hook::Cgroup => self.group.map(Target::Cgroup),
            Hook::Tc => self.interface.map(Target::Tc),
            Hook::Xdp => self.interface.map(|interface| Target::Xdp(interface, self.xdp_mode)),
        }
    }
}

impl Target<'_> {
    /// The hook that belongs to it.
    pub fn hook(&self) -> Hook {
        match self {
            Self::Socket(_) => Hook::Socket,
            Self::Reuseport(_) => Hook::Reuseport,
            Self::Cgroup(_) => Hook::Cgroup,
            Self::Tc(_) | Self::TcEgress(_) => Hook::Tc,
            Self::Xdp(..) => Hook::Xdp,
        }
    }
}

impl KernelFilter {
    /// Attaches the program, which decides from the next packet on; a reference to a socket stands for
    /// [`Target::Socket`].
    ///
    /// Sockets' programs need no privilege to be attached; [`Target::Cgroup`] needs CAP_NET_ADMIN.
    ///
    /// # Errors
    /// It was loaded for another hook; what the kernel says, with the reason where it is known; or, in generic XDP and
    /// at a shared port, that the program would take a packet of several datagrams for its first one, and such packets
    /// can come in there ([`weir_filters::SuperPackets::Pass`] allows that, and [`weir_filters::Site::gso`] tells them); or,
    /// at tc, that generic XDP runs there, behind which it would judge nothing.
    pub fn attach<'a>(&self, target: impl Into<Target<'a>>) -> Result<Attached, HookError> {
        let target = target.into();
        self.check_hook(target.hook())?;
        match target {
            Target::Socket(socket) => self.occupy(SocketOptions::FILTER, socket),
            Target::Reuseport(socket) => {
                let address = self.site.endpoint.address;
                let interfaces = Interface::delivering(address).map_err(|error| {
                    self.other("attaching", format!("looking for the interfaces of {address}: {error}"))
                })?;
                self.refuse_super_packets("attaching", &interfaces)?;
                let mut attached = self.occupy(SocketOptions::REUSEPORT, socket)?;
                attached.whole_from = interfaces;
                Ok(attached)
            }
            Target::Cgroup(folder) => self.link(folder.as_raw_fd() as u32, BPF_CGROUP_INET_INGRESS, 0),
            Target::Tc(interface) => {
                self.refuse_behind_generic_xdp(interface)?;
                self.tc(interface, Direction::Ingress)
            }
            Target::TcEgress(interface) => self.tc(interface, Direction::Egress),
            Target::Xdp(interface, XdpMode::Auto) => self.native_or_generic(interface),
            Target::Xdp(interface, mode) => self.xdp(interface, mode),
        }
    }

    /// Attaches the program to that of `owners` which its hook belongs to.
    ///
    /// # Errors
    /// As [`Self::attach`]; or the hook's is none of them.
    pub fn attach_to(&self, owners: Owners<'_>) -> Result<Attached, HookError> {
        let hook = self.site.hook;
        let target = owners.target(hook).ok_or_else(|| {
            self.other("attaching", format!("nothing was given that hook {hook} belongs to"))
        })?;
        self.attach(target)
    }

    fn tc(&self, interface: &Interface, direction: Direction) -> Result<Attached, HookError> {
        self.at_tc(interface, direction, self.program_fd()?)
    }

    /// Attaches this program, or another one of its object.
    pub(crate) fn at_tc(
        &self,
        interface: &Interface,
        direction: Direction,
        program: BorrowedFd<'_>,
    ) -> Result<Attached, HookError> {
        self.refuse_without_ethernet(interface)?;
        let Endpoint { address, port } = self.site.endpoint;
        let purpose = SocketAddr::new(address, port).to_string();
        let link = |attach_type| self.held_link(program, interface.index(), attach_type, 0);
        let hold = tc(interface, direction, &purpose, program, link);
        let hold = hold.map_err(|(call, error)| self.call_error("attaching", call, error))?;
        Ok(Attached { interface: Some(interface.clone()), ..self.attached(hold) })
    }

    /// There a program would take every packet for somebody else's.
    fn refuse_without_ethernet(&self, interface: &Interface) -> Result<(), HookError> {
        let link = link(interface.index()).map_err(|error| {
            self.other("attaching", format!("asking for the kind of {interface}: {error}"))
        })?;
        let reason = match link.header.link_layer_type {
            LinkLayerType::Ether | LinkLayerType::Loopback => return Ok(()),
            other => format!(
                "packets of {interface} begin with no Ethernet header (link layer {other}), which programs at hook {} \
                 look for; attach to others (--interface), or filter at hook socket, reuseport or cgroup",
                self.site.hook
            ),
        };
        Err(self.other("attaching", reason))
    }

    fn occupy(&self, slot: SocketOptions, socket: BorrowedFd<'_>) -> Result<Attached, HookError> {
        let held = socket.try_clone_to_owned();
        let held =
            held.map_err(|io_error| self.call_error("attaching", "fcntl F_DUPFD_CLOEXEC", io_error))?;
        let (call, done) = self.fill(slot, socket)?;
        done.map_err(|io_error| self.call_error("attaching", call, io_error))?;
        Ok(self.attached(Hold::Slot(held, slot)))
    }

    /// Puts the program into the slot, whatever was there; gives the system call, and what it returned.
    pub(crate) fn fill(
        &self,
        slot: SocketOptions,
        socket: BorrowedFd<'_>,
    ) -> Result<(&'static str, io::Result<()>), HookError> {
        match &self.loaded {
            Loaded::Object { .. } => Ok(slot.fill(socket, self.program_fd()?)),
            Loaded::Classic(program) => Ok(program.fill(socket)),
        }
    }

    fn link(&self, target: u32, attach_type: bpf_attach_type, flags: u32) -> Result<Attached, HookError> {
        let link = self.held_link(self.program_fd()?, target, attach_type, flags);
        let link = link.map_err(|io_error| self.call_error("attaching", "BPF_LINK_CREATE", io_error))?;
        Ok(self.attached(link))
    }

    /// A link, which is kept where the filter is ([`KernelFilter::kept_in`]).
    pub(crate) fn held_link(
        &self,
        program: BorrowedFd<'_>,
        target: u32,
        attach_type: bpf_attach_type,
        flags: u32,
    ) -> io::Result<Hold> {
        match &self.pins {
            Some(pins) => pins.link(program, target, attach_type, flags),
            None => sys::create_link(program, target, attach_type, flags).map(Hold::Link),
        }
    }

    fn native_or_generic(&self, interface: &Interface) -> Result<Attached, HookError> {
        if self.pins.as_ref().is_some_and(|pins| pins.has_generic_xdp(interface.index())) {
            let mut attached = self.xdp(interface, XdpMode::Generic)?;
            attached.fallback =
                Some(format!("{interface} had it in the kernel's general code before, which was kept"));
            return Ok(attached);
        }
        match self.xdp(interface, XdpMode::Native) {
            Err(HookError::Call { io_error, .. }) if is_the_drivers(&io_error) => {
                let reason = Some(format!("{interface} takes no program in its driver: {io_error}"));
                let mut attached = self.xdp(interface, XdpMode::Generic);
                if let Ok(Attached { fallback, .. }) | Err(HookError::SuperPackets { fallback, .. }) =
                    &mut attached
                {
                    *fallback = reason;
                }
                attached
            }
            attached => attached,
        }
    }

    fn xdp(&self, interface: &Interface, mode: XdpMode) -> Result<Attached, HookError> {
        self.check_mode(mode)?;
        self.refuse_without_ethernet(interface)?;
        let (flags, sees_whole) = match mode {
            XdpMode::Generic => (XDP_FLAGS_SKB_MODE, true),
            XdpMode::Auto | XdpMode::Native => {
                (XDP_FLAGS_DRV_MODE, super_packets::is_written_by_a_program(interface))
            }
        };
        let whole_from: Vec<_> = sees_whole.then(|| interface.clone()).into_iter().collect();
        self.refuse_super_packets("attaching", &whole_from)?;
        let mut attached = self.link(interface.index(), BPF_XDP, flags)?;
        attached.mode = Some(mode);
        attached.interface = Some(interface.clone());
        attached.whole_from = whole_from;
        Ok(attached)
    }

    /// A program that looks for `gso_size` where generic XDP has it would find anything in a driver's buffer.
    pub(crate) fn check_mode(&self, mode: XdpMode) -> Result<(), HookError> {
        if !self.reads_gso || mode == XdpMode::Generic {
            return Ok(());
        }
        let reason = "it was made for generic XDP, to tell packets of several datagrams (`Site::gso`); attach it in \
                      mode generic, or load it without";
        Err(self.other("attaching", reason.to_owned()))
    }

    /// Where the program would take a packet of several datagrams for its first one, and one can come in.
    pub(crate) fn refuse_super_packets(
        &self,
        doing: &'static str,
        interfaces: &[Interface],
    ) -> Result<(), HookError> {
        if self.site.super_packets == SuperPackets::Pass || self.reads_gso {
            return Ok(());
        }
        let reach = interfaces.iter().find_map(super_packets::reach);
        let Some(Reach { way, remedy }) = reach else { return Ok(()) };
        let remedy = remedy.map(|remedy| format!("{remedy}, or ")).unwrap_or_default();
        let hook = self.site.hook;
        let told = "have the toolkit fun write it, which tells them there (Linux 6.2, CAP_PERFMON)";
        let told = match hook {
            Hook::Xdp => format!("{told}, in mode generic (`weir serve` falls back to it by itself)"),
            _ => told.to_owned(),
        };
        let reason = format!(
            "this program at hook {hook} would take a packet of several datagrams for its first one, where {way}; \
             {remedy}{told}, or let them go by that one (--super-packets pass), or filter at hook socket, cgroup or tc"
        );
        Err(HookError::SuperPackets { doing, what: self.what.clone(), reason, fallback: None })
    }

    pub(crate) fn attached(&self, hold: Hold) -> Attached {
        Attached {
            hook: self.site.hook,
            hold,
            mode: None,
            fallback: None,
            interface: None,
            whole_from: Vec::new(),
        }
    }

    pub(crate) fn check_hook(&self, wanted: Hook) -> Result<(), HookError> {
        let hook = self.site.hook;
        if hook == wanted {
            return Ok(());
        }
        Err(self.other("attaching", format!("it was loaded for hook {hook}, and this is hook {wanted}")))
    }

    pub(crate) fn program_fd(&self) -> Result<BorrowedFd<'_>, HookError> {
        let fd = self.program()?.fd().map_err(|error| self.program_error("attaching", error))?;
        Ok(fd.as_fd())
    }

    pub(crate) fn call_error(&self, doing: &'static str, call: &str, io_error: io::Error) -> HookError {
        let call = call_with_reason(self.site.hook, call, &io_error);
        HookError::call(doing, &self.what, self.needed(), call, io_error)
    }
}

/// Attaches a program at tc, by `link` where the kernel has links there; `purpose` tells it from others where it outlives its process. Where that fails, the call that
/// did.
pub(crate) fn tc(
    interface: &Interface,
    direction: Direction,
    purpose: &str,
    program: BorrowedFd<'_>,
    link: impl FnOnce(bpf_attach_type) -> io::Result<Hold>,
) -> Result<Hold, (&'static str, io::Error)> {
    let attach_type = match direction {
        Direction::Ingress => BPF_TCX_INGRESS,
        Direction::Egress => BPF_TCX_EGRESS,
    };
    if features::has_tcx(program) {
        return link(attach_type).map_err(|error| ("BPF_LINK_CREATE", error));
    }
    let place = Clsact::attach(interface, direction, purpose, program);
    place.map(Hold::Clsact).map_err(|error| ("RTM_NEWTFILTER", error))
}

/// A call that failed, with what its error means at that hook, where that is known.
pub(crate) fn call_with_reason(hook: Hook, call: &str, error: &io::Error) -> String {
    let number = error.raw_os_error();
    match REASONS.iter().find(|row| row.0 == hook && Some(row.1) == number) {
        Some((_, _, reason)) => format!("{call} ({reason})"),
        None => call.to_owned(),
    }
}

/// Whether it says that the driver won't, rather than that the slot is taken, or that one may not.
pub(crate) fn is_the_drivers(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE | libc::ENOMEM))
}

/// What an error of attaching means there (kernel/bpf/cgroup.c, kernel/bpf/tcx.c, net/core/dev.c, net/core/filter.c).
const REASONS: [(Hook, i32, &str); 11] = [
    (Hook::Socket, libc::EPERM, "the socket's owner has locked its filter (SO_LOCK_FILTER)"),
    (Hook::Reuseport, libc::EINVAL, "the socket needs SO_REUSEPORT, set before it is bound"),
    (Hook::Cgroup, libc::EPERM, "needs CAP_NET_ADMIN, and a group whose parents allow programs below them"),
    (Hook::Cgroup, libc::EBADF, "it is no folder of cgroup2"),
    (Hook::Tc, libc::EPERM, "needs CAP_NET_ADMIN"),
    (Hook::Tc, libc::ENOENT, "the kernel has no qdisc clsact: modules sch_ingress and cls_bpf"),
    (Hook::Xdp, libc::EBUSY, "another program is attached; `bpftool net` shows it"),
    (Hook::Xdp, libc::EEXIST, "one is attached in the other mode; `bpftool net` shows it"),
    (Hook::Xdp, libc::EOPNOTSUPP, "the driver has no XDP; --xdp-mode generic works with any"),
    (Hook::Xdp, libc::ERANGE, "the MTU is too large for a program in the driver"),
    (
        Hook::Xdp,
        libc::EINVAL,
        "a link needs Linux 5.9; or the driver refuses its own or its peer's settings, such as a large MTU",
    ),
];
