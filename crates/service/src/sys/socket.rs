//! What a socket says of itself.

use std::{io, os::fd::AsRawFd};

/// Packets that the socket has dropped since it was made: by a socket filter and for a full buffer alike.
///
/// `SO_MEMINFO` (Linux 4.12, include/uapi/linux/sock_diag.h); the count is the kernel's `sk_drops`, 32 bits.
pub fn socket_drops(socket: &impl AsRawFd) -> io::Result<u64> {
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
    Ok(u64::from(info[libc::SK_MEMINFO_DROPS as usize]))
}
