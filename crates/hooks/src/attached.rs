//! A program attached to a socket, for as long as the guard lives.

use std::os::fd::AsFd;

use aya::programs::SocketFilter;

/// Keeps a program attached; dropping it detaches. Nothing is pinned, so that a killed process leaves nothing: the
/// kernel drops the program with the socket.
#[derive(Debug)]
#[must_use = "dropping the guard detaches the program"]
pub struct Attached<S: AsFd> {
    socket: S,
}

impl<S: AsFd> Attached<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket }
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }
}

impl<S: AsFd> Drop for Attached<S> {
    fn drop(&mut self) {
        // It fails only where nothing is attached any more, which is what dropping is for.
        let _ = SocketFilter::detach(self.socket.as_fd());
    }
}
