//! Filters in classic BPF, which the kernel takes at a socket without a system call of its own for programs.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

use weir_filters::{Filter, Hook, cbpf};

use crate::{
    Attached, HookError,
    attached::{Hold, Slot},
};

/// A filter in classic BPF. The kernel checks and translates it when it is attached, and holds it with the socket; it
/// has no maps, so that nothing of it can be read or changed.
pub struct ClassicFilter {
    what: String,
    instructions: Vec<libc::sock_filter>,
}

impl ClassicFilter {
    /// Generates the filter's program.
    ///
    /// # Errors
    /// The filter needs a map.
    pub fn new(filter: Filter) -> Result<Self, HookError> {
        let what = filter.name.to_string();
        let program = match cbpf::program(filter) {
            Ok(program) => program,
            Err(gap) => return Err(HookError::Unavailable { what, gap }),
        };
        let of = |cbpf::Insn { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k };
        Ok(Self { what, instructions: program.into_iter().map(of).collect() })
    }

    /// Attaches the program to a socket (`SO_ATTACH_FILTER`, Linux 2.2), where it decides from the next packet on; it
    /// needs no privilege. A socket has one slot: what was attached before is replaced.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn attach(&self, socket: &impl AsFd) -> Result<Attached, HookError> {
        let error = |call: &str, io_error| HookError::Call {
            doing: "attaching",
            what: self.what.clone(),
            call: call.to_owned(),
            io_error,
        };
        let socket = socket.as_fd();
        let held =
            socket.try_clone_to_owned().map_err(|io_error| error("fcntl F_DUPFD_CLOEXEC", io_error))?;
        let program = libc::sock_fprog {
            len: self.instructions.len() as u16,
            filter: self.instructions.as_ptr().cast_mut(),
        };
        // SAFETY: the kernel reads the structure, and through it as many instructions as it says; both are live.
        let returned = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size_of_val(&program) as libc::socklen_t,
            )
        };
        if returned < 0 {
            return Err(error("setsockopt SO_ATTACH_FILTER", io::Error::last_os_error()));
        }
        Ok(Attached { hook: Hook::Socket, hold: Hold::Slot(held, Slot::Filter), mode: None, fallback: None })
    }
}
