//! Programs in classic BPF, which the kernel takes at a socket without a system call of its own for programs.

use std::{io, os::fd::BorrowedFd};

use socket2::{SockFilter, SockRef};
use weir_filters::cbpf::ClassicInsn;

/// A program in classic BPF. The kernel checks and translates it when it is attached, and holds it with the socket; it
/// has no maps and gives no descriptor, so that nothing of it can be asked.
pub(crate) struct ClassicProgram(Vec<SockFilter>);

impl ClassicProgram {
    pub(crate) fn new(instructions: &[ClassicInsn]) -> Self {
        let of = |&ClassicInsn { code, jt, jf, k }: &ClassicInsn| SockFilter::new(code, jt, jf, k);
        // The kernel takes at most 4096 and refuses more; how many there are goes to it in 16 bits.
        Self(instructions.iter().map(of).take(u16::MAX.into()).collect())
    }

    /// Attaches the program to a socket (`SO_ATTACH_FILTER`, Linux 2.2), whose slot `SO_ATTACH_BPF` fills too: what was
    /// attached before is replaced.
    pub(crate) fn fill(&self, socket: BorrowedFd<'_>) -> (&'static str, io::Result<()>) {
        ("setsockopt SO_ATTACH_FILTER", SockRef::from(&socket).attach_filter(&self.0))
    }
}
