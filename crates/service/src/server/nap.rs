//! Naps before a read, as a [`Moderator`] decides them.

use std::{io, net::UdpSocket, thread, time::Duration};

use super::moderator::Moderator;
use crate::{
    Naps, monotonic_now,
    sleep::PunctualSleep,
    sys::{RECEIVE_BATCH, ReceiveBatch, socket_memory},
};

/// Moderates the reading of the thread that made it.
pub(super) struct Moderated {
    moderator: Moderator,
    count: u64,
    slept: Duration,
    is_after_nap: bool,
    _punctual: PunctualSleep,
}

impl Moderated {
    /// With naps of at most `longest` before reads of `socket`.
    pub(super) fn new(socket: &UdpSocket, longest: Duration) -> io::Result<Self> {
        Ok(Self {
            moderator: Moderator::new(longest, socket_memory(socket)?, monotonic_now()),
            count: 0,
            slept: Duration::ZERO,
            is_after_nap: false,
            _punctual: PunctualSleep::new(),
        })
    }

    /// To be called before a read, when nothing waits for this thread: no lock, no reply.
    pub(super) fn before_read(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let began = monotonic_now();
        let nap = self.moderator.nap(began);
        self.is_after_nap = nap.is_some();
        if let Some(time) = nap {
            thread::sleep(time);
            let now = monotonic_now();
            self.count += 1;
            self.slept += now.since(began);
            self.moderator.woke(now, socket_memory(socket)?);
        }
        Ok(())
    }

    /// To be called after a read.
    pub(super) fn after_read(&mut self, read: &ReceiveBatch) {
        let is_full = read.len() == RECEIVE_BATCH;
        if self.is_after_nap {
            self.moderator.read_after_nap(monotonic_now(), read.len(), is_full);
        } else {
            self.moderator.read_awake(read.len(), read.payload_len(), is_full);
        }
    }

    /// The naps taken so far.
    pub(super) fn naps(&self) -> Naps {
        Naps { count: self.count, time_us: self.slept.as_micros() as u64 }
    }
}
