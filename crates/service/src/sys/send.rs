//! `sendmmsg`: the replies of a batch to their askers, and copies of one payload to a connected peer.

use std::{
    io::{self, Write},
    mem,
    os::fd::AsRawFd,
    ptr,
};

use weir_wire::MAX_REPLY_LEN;

use super::{RawAddr, count_or_errno, receive::RECEIVE_BATCH};
use crate::ReplyCounts;

/// Most replies that wait for one call: as many as a batch can ask for.
const REPLY_SLOTS: usize = RECEIVE_BATCH;

/// Replies on their way out.
pub(crate) struct ReplyBatch {
    replies: Vec<QueuedReply>,
    headers: Vec<libc::mmsghdr>,
    iovecs: Vec<libc::iovec>,
}

struct QueuedReply {
    to: RawAddr,
    text: [u8; MAX_REPLY_LEN],
    len: usize,
}

impl ReplyBatch {
    pub(crate) fn new() -> Self {
        Self {
            replies: Vec::with_capacity(REPLY_SLOTS),
            headers: Vec::with_capacity(REPLY_SLOTS),
            iovecs: Vec::with_capacity(REPLY_SLOTS),
        }
    }

    /// Puts a count in line for `to`. At most [`REPLY_SLOTS`] fit between two flushes without allocating.
    pub(crate) fn push(&mut self, to: RawAddr, count: i64) {
        let mut text = [0; MAX_REPLY_LEN];
        let mut rest = &mut text[..];
        write!(rest, "{count}").expect("MAX_REPLY_LEN holds every i64");
        let len = MAX_REPLY_LEN - rest.len();
        self.replies.push(QueuedReply { to, text, len });
    }

    /// Sends what is in line. A reply that the kernel refuses is counted and skipped; the others still go out.
    pub(crate) fn flush(&mut self, socket: &impl AsRawFd) -> ReplyCounts {
        let mut counts = ReplyCounts::default();
        if self.replies.is_empty() {
            return counts;
        }
        self.point_headers_at_replies();
        let mut next = 0;
        while next < self.replies.len() {
            match self.send_from(next, socket) {
                Ok(sent) => {
                    counts.sent += sent as u64;
                    counts.bytes +=
                        self.replies[next..next + sent].iter().map(|reply| reply.len as u64).sum::<u64>();
                    next += sent;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    counts.failed += 1;
                    next += 1;
                }
            }
        }
        self.replies.clear();
        counts
    }

    fn point_headers_at_replies(&mut self) {
        self.iovecs.clear();
        self.iovecs.extend(
            self.replies
                .iter_mut()
                .map(|reply| libc::iovec { iov_base: reply.text.as_mut_ptr().cast(), iov_len: reply.len }),
        );
        self.headers.clear();
        self.headers.extend(self.replies.iter_mut().zip(&mut self.iovecs).map(|(reply, iovec)| {
            let mut header = empty_header();
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = ptr::from_mut(&mut reply.to.bytes).cast();
            header.msg_hdr.msg_namelen = reply.to.len;
            header
        }));
    }

    fn send_from(&mut self, first: usize, socket: &impl AsRawFd) -> io::Result<usize> {
        let headers = &mut self.headers[first..];
        // SAFETY: each header points at an iovec, a text and an address in vectors that don't change until the
        // call is over.
        let result = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), headers.len() as libc::c_uint, 0)
        };
        count_or_errno(result)
    }
}

/// Most copies that one [`send_copies`] sends.
const COPIES: usize = 64;

/// Sends up to `count` copies of `payload` on a connected socket, and says how many went out: at least one. `flags` are
/// those of send(2).
pub(crate) fn send_copies(
    socket: &impl AsRawFd,
    payload: &[u8],
    count: u64,
    flags: libc::c_int,
) -> io::Result<usize> {
    // sendmsg only reads what its iovec points at (sendmsg(2)); the type is shared with recvmsg, which writes.
    let mut iovec = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
    let mut header = empty_header();
    header.msg_hdr.msg_iov = &raw mut iovec;
    header.msg_hdr.msg_iovlen = 1;
    let mut headers = [header; COPIES];
    let count = count.min(COPIES as u64) as libc::c_uint;
    // SAFETY: `count` headers are there, and all point at the one iovec and payload, which outlive the call.
    count_or_errno(unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags as _) })
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain C data, for which zeroes are a value: no name, no iovec, no control data.
    unsafe { mem::zeroed() }
}
