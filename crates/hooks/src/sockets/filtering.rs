//! A program at a socket of another process.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::{
    errno::Errno,
    getsockopt_impl, sockopt_impl,
    sys::socket::{getsockopt, sockopt::UdpGroSegment},
};

use super::{BoundSocket, SocketHolder, SocketHolders, SocketRefusal};
use crate::{
    Attached, HookError, KernelFilter,
    attached::{Hold, SocketOptions},
    sys,
};

sockopt_impl!(
    /// Who takes what comes to a socket, the kernel or its process (0); include/uapi/linux/udp.h.
    UdpEncap,
    GetOnly,
    libc::SOL_UDP,
    libc::UDP_ENCAP,
    i32
);

impl KernelFilter {
    /// Attaches the program to a socket that `holder` has. No descriptor is kept, so that the socket is closed when its process
    /// does: the program goes with it, and otherwise when the guard is dropped. Where this process is killed the program stays.
    ///
    /// Needs to be allowed to trace that process, then and at the end: CAP_SYS_PTRACE, or the same user as far as Yama lets him.
    ///
    /// # Errors
    /// The program was loaded for another hook; the socket is gone or can't be had; it takes no program ([`SocketRefusal`]); or
    /// what the kernel says.
    pub fn attach_to_anothers(
        &self,
        socket: &BoundSocket,
        holder: SocketHolder,
    ) -> Result<Attached, HookError> {
        self.at_anothers(socket, holder, false)
    }

    /// Attaches the program as [`Self::attach_to_anothers`] does, in the place of the filter that the socket may have: one that is
    /// known to be the caller's to replace. Each packet is judged by one or the other.
    ///
    /// # Errors
    /// Those, but for that one.
    pub fn replace_at_anothers(
        &self,
        socket: &BoundSocket,
        holder: SocketHolder,
    ) -> Result<Attached, HookError> {
        self.at_anothers(socket, holder, true)
    }

    fn at_anothers(
        &self,
        socket: &BoundSocket,
        holder: SocketHolder,
        replaces: bool,
    ) -> Result<Attached, HookError> {
        self.check_hook(weir_filters::Hook::Socket)?;
        socket.refuse_encapsulating(holder)?;
        let lent = socket.lent_by(holder)?;
        socket.refuse_with(getsockopt(&lent, UdpGroSegment), SocketRefusal::Coalesces)?;
        let lent = lent.as_fd();
        let failed = |call, error| self.call_error("attaching", call, error);
        let free = refuse_filtered(lent).map_err(|error| failed("getsockopt SO_GET_FILTER", error))?;
        if !replaces {
            free.map_err(|refusal| socket.refused(refusal))?;
        }
        let (call, done) = self.fill(SocketOptions::FILTER, lent)?;
        done.map_err(|error| failed(call, error))?;
        Ok(self.attached(Hold::Anothers(Some(socket.clone()))))
    }
}

/// Whether the socket has no filter that would be lost.
pub(crate) fn refuse_filtered(socket: BorrowedFd<'_>) -> std::io::Result<Result<(), SocketRefusal>> {
    Ok(sys::filter_of(socket)?.map_or(Ok(()), |kind| Err(SocketRefusal::HasFilter(kind))))
}

impl BoundSocket {
    /// Refuses a socket of which the kernel itself takes packets before filters see them.
    ///
    /// # Errors
    /// It is one ([`SocketRefusal::Encapsulates`]); or it can't be had.
    pub fn refuse_encapsulating(&self, holder: SocketHolder) -> Result<(), HookError> {
        let lent = self.lent_by(holder)?;
        self.refuse_with(getsockopt(&lent, UdpEncap).map(|kind| kind != 0), SocketRefusal::Encapsulates)
    }

    /// Refuses the socket where an option of UDP is set.
    fn refuse_with(&self, option: nix::Result<bool>, refusal: SocketRefusal) -> Result<(), HookError> {
        match option {
            Ok(true) => Err(self.refused(refusal)),
            // Before Linux 5.17 nobody is told of UDP_GRO.
            Ok(false) | Err(Errno::ENOPROTOOPT) => Ok(()),
            Err(error) => {
                let reason = format!("asking for its options: {error}");
                Err(HookError::ForeignSocket { what: self.to_string(), reason })
            }
        }
    }

    /// Why nothing is attached to it.
    pub fn refused(&self, refusal: SocketRefusal) -> HookError {
        HookError::RefusedSocket { step: format!("attaching to {self}"), refusal }
    }

    /// Whether the kernel's table still has it.
    ///
    /// # Errors
    /// As [`Self::on_port`].
    pub fn is_there(&self) -> Result<bool, HookError> {
        let present = Self::on_port(self.local.port())?;
        Ok(present.iter().any(|socket| socket.cookie == self.cookie))
    }

    /// Does something to the socket, if it is there still, whoever has it now.
    pub(crate) fn wherever_it_is<T>(
        &self,
        act: impl FnOnce(BorrowedFd<'_>) -> T,
    ) -> Result<Option<T>, HookError> {
        if !self.is_there()? {
            return Ok(None);
        }
        let holder = SocketHolders::of(std::slice::from_ref(self)).one_of(self)?;
        self.lent_by(holder).map(|lent| Some(act(lent.as_fd())))
    }
}
