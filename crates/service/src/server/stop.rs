//! Ending the loop from another thread.

use std::{
    net::{Shutdown, UdpSocket},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use socket2::SockRef;

/// What a loop and its stop handles share.
#[derive(Debug)]
pub(super) struct StopState {
    pub(super) socket: Arc<UdpSocket>,
    stopping: AtomicBool,
}

impl StopState {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self { socket: Arc::new(socket), stopping: AtomicBool::new(false) }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Ends a server's loops, as a STOP request would. It keeps no socket open: without its server it does nothing.
#[derive(Clone, Debug)]
pub struct StopHandle {
    workers: Vec<Weak<StopState>>,
}

impl StopHandle {
    pub(super) fn new<'a>(workers: impl Iterator<Item = &'a Arc<StopState>>) -> Self {
        Self { workers: workers.map(Arc::downgrade).collect() }
    }

    /// Ends each loop at its next look, idle or busy; a loop that has not begun ends as it begins.
    ///
    /// Shutting an unconnected UDP socket down answers ENOTCONN and yet marks it shut for reading and wakes its
    /// reader (net/ipv4/af_inet.c, `inet_shutdown`). The mark stays, so there is no moment at which the loop could
    /// have looked at the flag and then sleep for ever, and nothing has to be polled beside the socket.
    pub fn stop(&self) {
        for shared in self.workers.iter().filter_map(Weak::upgrade) {
            shared.stopping.store(true, Ordering::Release);
            // The answer is ENOTCONN, as said above.
            let _ = SockRef::from(&*shared.socket).shutdown(Shutdown::Read);
        }
    }
}

/// Ends the other workers' loops when one of them ends, in whatever way.
pub(super) struct StopsOnDrop(pub(super) StopHandle);

impl Drop for StopsOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}
