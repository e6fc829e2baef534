//! The workers between which a program at a shared port picks.

use std::os::fd::{AsFd, AsRawFd as _};

use weir_filters::maps::WORKERS;

use crate::{HookError, KernelFilter, maps::Update};

impl KernelFilter {
    /// Whether what it lets through goes to the worker of the request's key, once they have their places
    /// ([`KernelFilter::seat`]).
    pub fn picks_workers(&self) -> bool {
        self.picks_workers
    }

    /// Gives the workers their places, from 0 up: bound sockets of the port that the program is attached to. Until a worker
    /// has one its requests go where the kernel's hash of addresses and ports says, as do those of a worker whose socket
    /// is closed. Does nothing where the program doesn't pick.
    ///
    /// # Errors
    /// What the kernel says: EINVAL of a socket that isn't bound with SO_REUSEPORT, EBUSY of one that has a place in another
    /// program's map (kernel/bpf/reuseport_array.c).
    pub fn seat<S: AsFd>(&self, workers: impl IntoIterator<Item = S>) -> Result<(), HookError> {
        if !self.picks_workers {
            return Ok(());
        }
        let mut seats = self.map(WORKERS)?;
        for (number, socket) in (0..).zip(workers) {
            seats.update(number, socket.as_fd().as_raw_fd() as u32, Update::Any)?;
        }
        Ok(())
    }

    /// Takes their places away, so that another program's map can have the sockets: a socket is in one such map at a time.
    pub fn unseat(&self) -> Result<(), HookError> {
        if !self.picks_workers {
            return Ok(());
        }
        let mut seats = self.map(WORKERS)?;
        (0..self.site().workers).try_for_each(|number| seats.delete(number).map(drop))?;
        Ok(())
    }
}
