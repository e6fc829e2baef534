//! Waiting that SIGINT and SIGTERM end.

use std::{
    io::{self, Read as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{isatty, tcgetattr},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};
use thiserror::Error;
use weir_service::process::ignores;

/// Exit status after SIGINT or SIGTERM.
pub const STATUS: u8 = 130;

/// SIGINT or SIGTERM came.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("interrupted")]
pub struct Interrupted;

const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Sets `flag` at the first SIGINT or SIGTERM from now on, for as long as the process lives; the next one ends the process
/// at once.
///
/// # Errors
/// What the system calls say.
pub fn set_by_signals(flag: &Arc<AtomicBool>) -> io::Result<()> {
    set_by(&SIGNALS, flag)
}

fn set_by(signals: &[i32], flag: &Arc<AtomicBool>) -> io::Result<()> {
    for &signal in signals {
        flag::register_conditional_shutdown(signal, i32::from(STATUS), Arc::clone(flag))?;
        flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// Knows whether SIGINT or SIGTERM came. A second one ends the process at once, unless it listens patiently.
#[derive(Debug)]
pub struct Interrupt {
    came: UnixStream,
}

impl Interrupt {
    /// Listens for both signals from now on, for as long as the process lives.
    ///
    /// # Errors
    /// What the system calls say.
    pub fn listen() -> io::Result<Self> {
        Self::listen_to(&SIGNALS)
    }

    /// The same, and for SIGHUP, which comes where a terminal goes, unless it was ignored when the process began
    /// (nohup(1)).
    ///
    /// # Errors
    /// What the system calls say.
    pub fn listen_also_for_hangup() -> io::Result<Self> {
        let hangup = (!ignores(SIGHUP)).then_some(SIGHUP);
        Self::listen_to(&SIGNALS.into_iter().chain(hangup).collect::<Vec<_>>())
    }

    /// Listens for SIGINT and SIGTERM for who has something to take away before he ends: a second signal, such as timeout(1) sends, ends
    /// nothing.
    ///
    /// # Errors
    /// What the system calls say.
    pub fn listen_patiently() -> io::Result<Self> {
        Self::catch(SIGNALS.into_iter())
    }

    fn listen_to(signals: &[i32]) -> io::Result<Self> {
        set_by(signals, &Arc::new(AtomicBool::new(false)))?;
        Self::catch(signals.iter().copied())
    }

    fn catch(signals: impl Iterator<Item = i32>) -> io::Result<Self> {
        let (came, write) = UnixStream::pair()?;
        for signal in signals {
            pipe::register(signal, write.try_clone()?)?;
        }
        Ok(Self { came })
    }

    /// Whether one of them came.
    ///
    /// # Errors
    /// It did.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.wait(&[], Instant::now()).map(|_| ())
    }

    /// Waits until one of `fds` is readable and gives its position, or nothing after `deadline`.
    ///
    /// # Errors
    /// A signal came before.
    pub fn wait(&self, fds: &[BorrowedFd<'_>], deadline: Instant) -> Result<Option<usize>, Interrupted> {
        // Nothing takes the byte that a signal leaves in the socket, so every later wait sees it as well.
        let all: Vec<_> = [self.came.as_fd()].into_iter().chain(fds.iter().copied()).collect();
        match wait_any(&all, deadline) {
            Some(0) => Err(Interrupted),
            ready => Ok(ready.map(|position| position - 1)),
        }
    }
}

/// Knows whether SIGHUP came: who is no process of a terminal is asked by it to read its files anew.
#[derive(Debug)]
pub struct Hangup {
    came: UnixStream,
    /// Where nobody writes: without it what is read from would be at its end, and always readable.
    _unheard: Option<UnixStream>,
    has_terminal: bool,
}

impl Hangup {
    /// Listens for it from now on, for as long as the process lives, unless it was ignored when the process began (nohup(1)).
    ///
    /// # Errors
    /// What the system calls say.
    pub fn listen() -> io::Result<Self> {
        Self::heard(!ignores(SIGHUP))
    }

    fn heard(is_heard: bool) -> io::Result<Self> {
        let (came, write) = UnixStream::pair()?;
        came.set_nonblocking(true)?;
        let unheard = if is_heard {
            pipe::register(SIGHUP, write)?;
            None
        } else {
            Some(write)
        };
        Ok(Self { came, _unheard: unheard, has_terminal: isatty(io::stdin()) })
    }

    /// Whether it came since this was asked last.
    pub fn came(&self) -> bool {
        let mut any = false;
        while (&self.came).read(&mut [0; 64]).is_ok_and(|read| read > 0) {
            any = true;
        }
        any
    }

    /// Whether it came because the terminal has gone that the process began at.
    pub fn has_ended_the_terminal(&self) -> bool {
        self.has_terminal && tcgetattr(io::stdin()).is_err()
    }
}

impl AsFd for Hangup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.came.as_fd()
    }
}

/// Waits until one of `fds` is readable and gives the first that is, or nothing after `deadline`.
pub fn wait_any(fds: &[BorrowedFd<'_>], deadline: Instant) -> Option<usize> {
    let mut polled: Vec<_> = fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return None,
            Ok(_) => return polled.iter().position(|fd| !fd.revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(error) => unreachable!("poll(2) on open descriptors: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_hangup_that_is_ignored_wakes_nobody() {
        for is_heard in [false, true] {
            let hangup = Hangup::heard(is_heard).expect("descriptors are left");
            let soon = Instant::now() + Duration::from_millis(5);
            assert_eq!(wait_any(&[hangup.as_fd()], soon), None, "heard: {is_heard}");
            assert!(!hangup.came());
        }
    }
}
