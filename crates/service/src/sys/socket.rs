//! What a socket says of itself.

use std::{io, os::fd::AsRawFd};

/// A socket's receive buffer, and what it has dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketMemory {
    /// What waits in the buffer, bytes as the kernel accounts them.
    pub(crate) waiting: u64,
    /// The buffer's size, bytes.
    pub(crate) receive_buffer: u64,
    /// Packets dropped since the socket was made: by a socket filter and for a full buffer alike; 32 bits.
    pub(crate) drops: u64,
}

/// `SO_MEMINFO` (Linux 4.12, include/uapi/linux/sock_diag.h).
pub(crate) fn socket_memory(socket: &impl AsRawFd) -> io::Result<SocketMemory> {
    let mut info = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` has room for the `len` bytes that the call may write.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let entry = |at: libc::c_int| u64::from(info[at as usize]);
    Ok(SocketMemory {
        waiting: entry(libc::SK_MEMINFO_RMEM_ALLOC),
        receive_buffer: entry(libc::SK_MEMINFO_RCVBUF),
        drops: entry(libc::SK_MEMINFO_DROPS),
    })
}

/// Packets that the socket has dropped since it was made: by a socket filter and for a full buffer alike.
///
/// `SO_MEMINFO` (Linux 4.12, include/uapi/linux/sock_diag.h); the count is the kernel's `sk_drops`, 32 bits.
pub fn socket_drops(socket: &impl AsRawFd) -> io::Result<u64> {
    socket_memory(socket).map(|memory| memory.drops)
}
