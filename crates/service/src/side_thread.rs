//! Threads beside those that serve: each waits for something, and for its end.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd,
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// A thread that ends, and is waited for, when this is dropped.
pub struct SideThread<T> {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<T>>,
}

/// What tells a thread that it is to end.
pub struct Stopped(PipeReader);

impl<T: Send + 'static> SideThread<T> {
    /// A thread of that name does `task`, which is over soon after [`Stopped::wait`] says that it is to end.
    ///
    /// # Errors
    /// The kernel has no room for one.
    pub fn start(name: &str, task: impl FnOnce(Stopped) -> T + Send + 'static) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let thread = thread::Builder::new().name(name.into()).spawn(move || task(Stopped(stopped)))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl<T> SideThread<T> {
    /// Ends it, and gives what came of it; nothing where it panicked, or was ended before.
    pub fn end(&mut self) -> Option<T> {
        drop(self.stop.take());
        self.thread.take()?.join().ok()
    }
}

impl<T> Drop for SideThread<T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stopped {
    /// Waits until `source` can be read, for `timeout` at most, and says whether the thread is to end. An interrupted wait
    /// is over, too.
    ///
    /// # Errors
    /// The kernel lacks memory.
    pub fn wait(&self, source: &impl AsFd, timeout: PollTimeout) -> io::Result<bool> {
        let mut waiting = [source.as_fd(), self.0.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(waiting[1].revents().is_some_and(|events| !events.is_empty()))
    }
}
