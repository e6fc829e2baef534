//! An interface that is deleted takes the programs along that are attached to it. When one of its name comes again, the
//! filter is attached there again.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd as _,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Instant,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use weir_hooks::{HookError, InterfaceChanges};

use crate::{StopHandle, control::Running};

/// Looks after the interfaces of a server for as long as it lives, on a thread of its own.
pub(super) struct Interfaces {
    /// Why the server was ended.
    failure: Arc<Mutex<Option<HookError>>>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Interfaces {
    /// From now on. Where attaching again fails the server is ended, since what comes in there would go by unjudged.
    pub(super) fn watch(server: StopHandle, running: Arc<Running>) -> io::Result<Self> {
        let changes = InterfaceChanges::open()?;
        let failure = Arc::<Mutex<Option<HookError>>>::default();
        let (stopped, stop) = io::pipe()?;
        let shared = Arc::clone(&failure);
        let thread = std::thread::Builder::new().name("interfaces".into()).spawn(move || {
            while is_changed(&changes, &stopped) {
                if let Err(error) = heal(&running) {
                    *shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
                    server.stop();
                    return;
                }
            }
        })?;
        Ok(Self { failure, stop: Some(stop), thread: Some(thread) })
    }

    /// What ended the server, if that was it.
    pub(super) fn end(mut self) -> Result<(), HookError> {
        self.join();
        let failure = self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        failure.map_or(Ok(()), Err)
    }

    fn join(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Interfaces {
    fn drop(&mut self) {
        self.join();
    }
}

/// Waits for a change; false when nobody wants to know any more.
fn is_changed(changes: &InterfaceChanges, stopped: &PipeReader) -> bool {
    let mut waiting =
        [PollFd::new(changes.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    let polled = poll(&mut waiting, PollTimeout::NONE);
    let is_over = waiting[1].revents().is_some_and(|events| !events.is_empty());
    // EINTR is a change, too: it is looked whether there was one.
    let can_go_on = polled.is_ok() || polled == Err(nix::errno::Errno::EINTR);
    !is_over && can_go_on && changes.forget().is_ok()
}

fn heal(running: &Running) -> Result<(), HookError> {
    let said = Instant::now();
    for interface in running.state().heal()? {
        eprintln!(
            "weir: {interface} was deleted and made again: its filter is attached there again; packets went by unjudged \
             for {:?} since the kernel said so",
            said.elapsed()
        );
    }
    Ok(())
}
