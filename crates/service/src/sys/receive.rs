//! `recvmmsg` into slots that are allocated once.

use std::{io, mem, os::fd::AsRawFd, ptr, ptr::NonNull};

use weir_wire::MAX_REQUEST_LEN;

use super::{RawAddr, count_or_errno};

/// Most datagrams that one call reads: as many as one GSO send carries, so that a burst is read in one call.
pub(crate) const RECEIVE_BATCH: usize = 64;

/// Bytes kept of each datagram: the longest request, and one more for what is too long to be one.
const SLOT_LEN: usize = MAX_REQUEST_LEN + 1;

/// What a read does when nothing has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Sleep until the first datagram; take what else is there without waiting for more (`MSG_WAITFORONE`).
    ForOne,
    /// Return at once, with `WouldBlock`.
    Never,
}

/// Datagrams read by one call.
///
/// Headers point into the same allocation, so it is only ever touched through the one raw pointer.
pub(crate) struct ReceiveBatch {
    slots: NonNull<Slots>,
    filled: usize,
}

struct Slots {
    headers: [libc::mmsghdr; RECEIVE_BATCH],
    iovecs: [libc::iovec; RECEIVE_BATCH],
    addrs: [libc::sockaddr_in6; RECEIVE_BATCH],
    buffers: [[u8; SLOT_LEN]; RECEIVE_BATCH],
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        // SAFETY: every field is plain C data or bytes, for all of which zeroes are a value.
        let slots: Box<Slots> = Box::new(unsafe { mem::zeroed() });
        let slots = NonNull::from(Box::leak(slots));
        let at = slots.as_ptr();
        for i in 0..RECEIVE_BATCH {
            // SAFETY: `at` points to live slots that nothing else refers to, and `i` is in bounds of each array.
            unsafe {
                let iovec = &raw mut (*at).iovecs[i];
                (*iovec).iov_base = (&raw mut (*at).buffers[i]).cast();
                (*iovec).iov_len = SLOT_LEN;
                let header = &raw mut (*at).headers[i].msg_hdr;
                (*header).msg_iov = iovec;
                (*header).msg_iovlen = 1;
                (*header).msg_name = (&raw mut (*at).addrs[i]).cast();
                (*header).msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        Self { slots, filled: 0 }
    }

    /// Reads datagrams, and says how many: 0 when the socket was shut down for reading and holds none.
    ///
    /// `MSG_TRUNC` makes the kernel report a datagram's true length although it copies only a slot's worth
    /// (recv(2)).
    pub(crate) fn receive(&mut self, socket: &impl AsRawFd, wait: Wait) -> io::Result<usize> {
        self.forget();
        let flags = match wait {
            Wait::ForOne => libc::MSG_TRUNC | libc::MSG_WAITFORONE,
            Wait::Never => libc::MSG_TRUNC | libc::MSG_DONTWAIT,
        };
        // SAFETY: the headers are RECEIVE_BATCH many, and all that they point at lives as long as `self`.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                (&raw mut (*self.slots.as_ptr()).headers).cast(),
                RECEIVE_BATCH as libc::c_uint,
                flags as _,
                ptr::null_mut(),
            )
        };
        let received = count_or_errno(result)?;
        self.filled = received;
        // A read that a shutdown ends counts as a message without sender; a datagram, empty ones too, has one.
        if received == 1 && self.header(0).msg_hdr.msg_namelen == 0 {
            self.forget();
        }
        Ok(self.filled)
    }

    /// Datagrams of the last read.
    pub(crate) const fn len(&self) -> usize {
        self.filled
    }

    /// Payload bytes of the last read.
    pub(crate) fn payload_len(&self) -> usize {
        (0..self.filled).map(|i| self.header(i).msg_len as usize).sum()
    }

    /// Datagram `i` of the last read: the bytes at hand and its true length.
    pub(crate) fn datagram(&self, i: usize) -> (&[u8], usize) {
        assert!(i < self.filled, "datagram {i} of {}", self.filled);
        let len = self.header(i).msg_len as usize;
        // SAFETY: `i` is in bounds, the buffer is initialised, and nothing writes it while `self` is borrowed.
        let buffer = unsafe { &(*self.slots.as_ptr()).buffers[i] };
        (&buffer[..len.min(SLOT_LEN)], len)
    }

    /// Who sent datagram `i` of the last read.
    pub(crate) fn source(&self, i: usize) -> RawAddr {
        assert!(i < self.filled, "datagram {i} of {}", self.filled);
        // SAFETY: `i` is in bounds and the address is plain data.
        let bytes = unsafe { (*self.slots.as_ptr()).addrs[i] };
        RawAddr { bytes, len: self.header(i).msg_hdr.msg_namelen }
    }

    fn header(&self, i: usize) -> &libc::mmsghdr {
        // SAFETY: the index is checked, and nothing writes the headers while `self` is borrowed.
        unsafe { &(*self.slots.as_ptr()).headers[i] }
    }

    /// Gives the used headers back the one field that the kernel overwrote and reads again.
    fn forget(&mut self) {
        for i in 0..self.filled {
            // SAFETY: the index is checked and `self` is borrowed exclusively.
            unsafe {
                (*self.slots.as_ptr()).headers[i].msg_hdr.msg_namelen =
                    size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        self.filled = 0;
    }
}

// SAFETY: the slots belong to this value alone, as those of a Box would, and are plain data.
unsafe impl Send for ReceiveBatch {}

impl Drop for ReceiveBatch {
    fn drop(&mut self) {
        // SAFETY: the pointer came from Box::leak in `new` and is given back once.
        drop(unsafe { Box::from_raw(self.slots.as_ptr()) });
    }
}
