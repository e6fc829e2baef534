//! An interface that is deleted takes the programs along that are attached to it. When one of its name comes again, the
//! filter is attached there again.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd as _,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use weir_hooks::{HookError, InterfaceChanges};

use super::{Healed, ServeError};
use crate::{StopHandle, control::Running};

/// Looks after the interfaces of a server for as long as it lives, on a thread of its own.
pub(super) struct Interfaces {
    /// Why the server was ended.
    failure: Arc<Mutex<Option<ServeError>>>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Interfaces {
    /// From now on. Where attaching again fails, or nobody says any more what becomes of interfaces, the server is ended, since
    /// what comes in would go by unjudged.
    pub(super) fn watch(server: StopHandle, running: Arc<Running>) -> io::Result<Self> {
        let changes = InterfaceChanges::open()?;
        let failure = Arc::<Mutex<Option<ServeError>>>::default();
        let (stopped, stop) = io::pipe()?;
        let shared = Arc::clone(&failure);
        let thread = std::thread::Builder::new().name("interfaces".into()).spawn(move || {
            if let Err(error) = look_after(&changes, &stopped, &running) {
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                server.stop();
            }
        })?;
        Ok(Self { failure, stop: Some(stop), thread: Some(thread) })
    }

    /// What ended the server, if that was it.
    pub(super) fn end(mut self) -> Result<(), ServeError> {
        self.join();
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
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

/// Until nobody wants it any more; begins by looking, for what changed before anybody listened.
fn look_after(changes: &InterfaceChanges, stopped: &PipeReader, running: &Running) -> Result<(), ServeError> {
    loop {
        heal(running)?;
        if !wait(changes, stopped).map_err(ServeError::Interfaces)? {
            return Ok(());
        }
    }
}

/// Waits for a change; false when nobody wants to know any more.
fn wait(changes: &InterfaceChanges, stopped: &PipeReader) -> io::Result<bool> {
    let mut waiting =
        [PollFd::new(changes.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    match poll(&mut waiting, PollTimeout::NONE) {
        // Being interrupted is a change, too: it is looked whether there was one.
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let is_over = waiting[1].revents().is_some_and(|events| !events.is_empty());
    changes.forget()?;
    Ok(!is_over)
}

fn heal(running: &Running) -> Result<(), HookError> {
    let said = Instant::now();
    let Healed { deciding, before } = running.state().heal()?;
    for interface in deciding {
        eprintln!(
            "weir: {interface} was deleted and made again: its filter is attached there again; packets went by unjudged \
             for {:?} since the kernel said so",
            said.elapsed()
        );
    }
    match before {
        Ok(interfaces) => {
            for interface in interfaces {
                eprintln!(
                    "weir: {interface} was deleted and made again: what drops there before the server's socket is \
                     attached there again; the filter at the socket judged meanwhile"
                );
            }
        }
        Err(error) => {
            eprintln!(
                "weir: before the server's socket nothing is dropped any more, and the filter there judges: {error}"
            );
        }
    }
    Ok(())
}
