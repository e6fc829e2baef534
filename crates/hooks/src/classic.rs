//! Programs in classic BPF, which the kernel takes at a socket without a system call of its own for programs.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use weir_filters::cbpf::ClassicInsn;

/// A program in classic BPF. The kernel checks and translates it when it is attached, and holds it with the socket; it
/// has no maps and gives no descriptor, so that nothing of it can be asked.
pub(crate) struct ClassicProgram(Vec<libc::sock_filter>);

impl ClassicProgram {
    pub(crate) fn new(instructions: &[ClassicInsn]) -> Self {
        let of = |&ClassicInsn { code, jt, jf, k }: &ClassicInsn| libc::sock_filter { code, jt, jf, k };
        Self(instructions.iter().map(of).collect())
    }

    /// Attaches the program to a socket (`SO_ATTACH_FILTER`, Linux 2.2), whose slot `SO_ATTACH_BPF` fills too: what was
    /// attached before is replaced.
    pub(crate) fn fill(&self, socket: BorrowedFd<'_>) -> (&'static str, io::Result<()>) {
        let Self(instructions) = self;
        let program = libc::sock_fprog {
            // The kernel takes at most 4096 and refuses more.
            len: instructions.len().try_into().unwrap_or(u16::MAX),
            filter: instructions.as_ptr().cast_mut(),
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
        let done = if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        ("setsockopt SO_ATTACH_FILTER", done)
    }
}
