//! A program attached somewhere, for as long as the guard lives.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use aya::programs::trace_point::TracePointLink;
use weir_filters::{Hook, names};

use crate::{BoundSocket, HookError, Interface, KernelFilter, clsact::Clsact, pins, sys};

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum XdpMode {
    /// In the driver; where that can't be, in the kernel's general code, which [`Attached::fallback`] says.
    #[default]
    Auto,
    /// In the driver, before the kernel makes a buffer of the packet.
    Native,
    /// In the kernel's general code, when it has made one: any device can, and little is saved.
    Generic,
}

names! {
    /// The name on the command line.
    "XDP mode", XdpMode::as_str { Auto = "auto", Native = "native", Generic = "generic" }
}

/// What is said of a program that outlives its process ([`Attached::outlives_its_process`]).
pub const STAYS: &str = "without a link, which needs Linux 6.6, it stays if this process is killed, until the next start or \
                         `weir doctor --fix`";

/// Keeps a program attached; dropping it detaches. A killed process leaves nothing: a link ends with its descriptor, and a socket's
/// program with the socket, of which the guard holds a descriptor of its own. Only what is attached to tc without a link stays
/// ([`Attached::outlives_its_process`]), and links that are kept ([`crate::Pins`]): these stay when this is dropped, too, and
/// [`Attached::detach`] ends them.
#[derive(Debug)]
#[must_use = "dropping the guard detaches the program"]
pub struct Attached {
    pub(crate) hook: Hook,
    pub(crate) hold: Hold,
    pub(crate) mode: Option<XdpMode>,
    pub(crate) fallback: Option<String>,
    /// What it is attached to, at tc and xdp.
    pub(crate) interface: Option<Interface>,
    /// By which packets come in that only a program with [`weir_filters::Site::gso`] tells from one datagram.
    pub(crate) whole_from: Vec<Interface>,
}

/// What keeps a program attached.
#[derive(Debug)]
pub(crate) enum Hold {
    /// A socket's slot.
    Slot(OwnedFd, SocketOptions),
    /// The filter of a socket that another process has; nothing once it is taken off.
    Anothers(Option<BoundSocket>),
    /// A link.
    Link(OwnedFd),
    /// A link with a name in bpffs.
    Kept(OwnedFd, PathBuf),
    /// A filter of an interface's clsact.
    Clsact(Clsact),
    /// A tracepoint's event.
    TracePoint { _link: TracePointLink },
}

/// The options of a socket that fill and empty a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOptions {
    attach: i32,
    detach: i32,
    /// The call that fills it.
    call: &'static str,
}

impl SocketOptions {
    pub(crate) const FILTER: Self =
        Self { attach: libc::SO_ATTACH_BPF, detach: libc::SO_DETACH_BPF, call: "setsockopt SO_ATTACH_BPF" };
    /// Detaching takes Linux 5.3.
    pub(crate) const REUSEPORT: Self = Self {
        attach: libc::SO_ATTACH_REUSEPORT_EBPF,
        detach: libc::SO_DETACH_REUSEPORT_BPF,
        call: "setsockopt SO_ATTACH_REUSEPORT_EBPF",
    };

    pub(crate) fn fill(
        self,
        socket: BorrowedFd<'_>,
        program: BorrowedFd<'_>,
    ) -> (&'static str, io::Result<()>) {
        (self.call, sys::set_option(socket, self.attach, program.as_raw_fd()))
    }
}

impl Attached {
    /// Puts `filter` in the place of what is attached, while packets come: each is decided by one or the other.
    ///
    /// # Errors
    /// The filter was loaded for another hook; it would take a packet of several datagrams for its first one, as
    /// [`KernelFilter::attach`] refuses too; or what the kernel says.
    pub fn replace(&self, filter: &KernelFilter) -> Result<(), HookError> {
        filter.check_hook(self.hook)?;
        if let Some(mode) = self.mode {
            filter.check_mode(mode)?;
        }
        filter.refuse_super_packets("replacing", &self.whole_from)?;
        let in_slot = |slot, socket: BorrowedFd<'_>| -> Result<(), HookError> {
            let (call, done) = filter.fill(slot, socket)?;
            done.map_err(|io_error| filter.call_error("replacing", call, io_error))
        };
        match &self.hold {
            Hold::Slot(socket, slot) => in_slot(*slot, socket.as_fd()),
            Hold::Anothers(None) => Ok(()),
            Hold::Anothers(Some(socket)) => {
                socket.wherever_it_is(|lent| in_slot(SocketOptions::FILTER, lent))?.unwrap_or(Ok(()))
            }
            Hold::Link(_) | Hold::Kept(..) | Hold::Clsact(_) | Hold::TracePoint { .. } => {
                self.put(filter, filter.program_fd()?)
            }
        }
    }

    /// Puts a program of `filter` in the place of what is attached by a link or at clsact.
    pub(crate) fn put(&self, filter: &KernelFilter, program: BorrowedFd<'_>) -> Result<(), HookError> {
        let (call, done) = match &self.hold {
            Hold::Link(link) | Hold::Kept(link, _) => {
                ("BPF_LINK_UPDATE", sys::update_link(link.as_fd(), program))
            }
            Hold::Clsact(place) => ("RTM_NEWTFILTER", place.filter.fill(program)),
            Hold::Slot(..) | Hold::Anothers(_) | Hold::TracePoint { .. } => {
                unreachable!("no program of a guard is put there so")
            }
        };
        done.map_err(|io_error| filter.call_error("replacing", call, io_error))
    }

    /// Detaches the program, as dropping does, and says what dropping can't.
    ///
    /// # Errors
    /// It stays at another process's socket, which can't be had any more.
    pub fn detach(mut self) -> Result<(), HookError> {
        self.hold.let_go()
    }

    /// Leaves the program attached, as far as something has it besides this process: a kept link its name, a socket of another process
    /// and an interface's clsact the program itself.
    pub fn leave(mut self) {
        match &mut self.hold {
            Hold::Anothers(socket) => *socket = None,
            Hold::Clsact(place) => place.stays = true,
            Hold::Slot(..) | Hold::Link(_) | Hold::Kept(..) | Hold::TracePoint { .. } => {}
        }
    }

    /// The name of its link in bpffs, where it is kept.
    pub fn kept_at(&self) -> Option<&Path> {
        match &self.hold {
            Hold::Kept(_, path) => Some(path),
            _ => None,
        }
    }

    /// The hook.
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// Whether the program stays attached where its process is killed, as a filter at tc does before Linux 6.6: the next one
    /// for the same interface and port takes its place, and [`crate::ClsactFilter::leftovers`] finds it.
    pub fn outlives_its_process(&self) -> bool {
        matches!(self.hold, Hold::Clsact(_))
    }

    /// Whether the interface or the control group that it was attached to is gone, where that can be told: links know.
    pub fn is_adrift(&self) -> bool {
        matches!(&self.hold, Hold::Link(link) | Hold::Kept(link, _) if sys::is_dead_link(link.as_fd()).unwrap_or_default())
    }

    /// The mode that an XDP program runs in, never [`XdpMode::Auto`]; nothing at other hooks.
    pub fn mode(&self) -> Option<XdpMode> {
        self.mode
    }

    /// The interface that it is attached to, as it was then; nothing at other hooks.
    pub fn interface(&self) -> Option<&Interface> {
        self.interface.as_ref()
    }

    /// Why an XDP program runs in generic mode that might have run in the driver.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }
}

impl Hold {
    /// Detaches, but for what does so when it is dropped itself.
    pub(crate) fn let_go(&mut self) -> Result<(), HookError> {
        // These calls fail only where nothing is attached any more, which is what is wanted.
        let _ = match self {
            Self::Slot(socket, slot) => sys::set_option(socket.as_fd(), slot.detach, 0),
            Self::Anothers(socket) => {
                let Some(socket) = socket.take() else { return Ok(()) };
                let detached =
                    socket.wherever_it_is(|lent| sys::set_option(lent, SocketOptions::FILTER.detach, 0))?;
                return match detached {
                    // Its service may lock it (SO_LOCK_FILTER).
                    Some(Err(error)) if error.raw_os_error() != Some(libc::ENOENT) => {
                        let reason = format!("setsockopt SO_DETACH_BPF: {error}");
                        Err(HookError::ForeignSocket { what: socket.to_string(), reason })
                    }
                    _ => Ok(()),
                };
            }
            // The descriptor may not be the last one: whoever looks at links has another for a moment.
            Self::Link(link) => sys::detach_link(link.as_fd()),
            Self::Kept(link, path) => {
                let detached = sys::detach_link(link.as_fd());
                return pins::remove(path).map_err(HookError::from).map(|()| drop(detached));
            }
            Self::Clsact(_) | Self::TracePoint { .. } => Ok(()),
        };
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Who wants to know calls `Attached::detach`.
        if !matches!(self, Self::Kept(..)) {
            let _ = self.let_go();
        }
    }
}
