//! A server or client process: started where it belongs, waited for, and ended with everything it started.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use rustix::process::{PidfdFlags, pidfd_open};
use weir_service::process::{ChildEnd, confine, wait4};

use super::{
    failure::{ProcessFault, RunError, RunFailure, refused},
    interrupt::wait_any,
};

/// Time that a process has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// Lines of a process's stderr that an error shows.
const LAST_LINES: usize = 5;

/// A process that ends when this is dropped: by SIGTERM, and where that doesn't help by SIGKILL.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Option<Child>,
    pidfd: OwnedFd,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` on `cores` (anywhere if there are none); its stderr goes to the file `stderr`.
    ///
    /// # Errors
    /// What was tried and what came back.
    pub fn start(
        name: &str,
        mut command: Command,
        cores: &[usize],
        stderr: PathBuf,
    ) -> Result<Self, RunError> {
        let program = command.get_program().display().to_string();
        let tried = format!("starting {name} ({program})");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&stderr).map_err(refused(&tried))?);
        confine(&mut command, cores).map_err(refused(&tried))?;
        let mut child = command.spawn().map_err(refused(&tried))?;
        let pid = rustix::process::Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { name: name.to_owned(), child: Some(child), pidfd, stderr }),
            Err(error) => {
                // The error is what matters; the child is still ours to end.
                let _ = child.kill().and_then(|()| child.wait());
                Err(refused(format!("watching {name} (pidfd_open, Linux 5.3)"))(io::Error::from(error)))
            }
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, before it is waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Readable once the process has ended.
    pub fn ended_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for the end up to `deadline`, whatever signals come.
    pub fn ends_by(&self, deadline: Instant) -> bool {
        wait_any(&[self.ended_fd()], deadline).is_some()
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        if let Some(child) = &self.child {
            // It may have ended by itself; then there is nothing to tell it.
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        }
    }

    /// Takes its exit status and cost. Kills it first if it hasn't ended, and whatever of its process group is left.
    ///
    /// # Errors
    /// What wait4(2) says.
    pub fn finish(mut self) -> Result<ChildEnd, RunError> {
        // The zombie keeps the group's number from being given to another group until wait4.
        self.kill_group();
        let child = self.child.take().expect("only finish and drop take it, and both once");
        wait4(child).map_err(refused(format!("waiting for {}", self.name)))
    }

    /// The end of its stderr, as a text to put behind a message; says so where there was none.
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        match &lines[lines.len().saturating_sub(LAST_LINES)..] {
            [] => "it said nothing on stderr".into(),
            last => format!("the end of its stderr: {}", last.join(" | ")),
        }
    }

    /// What it did, with its last words.
    pub fn failed(&self, fault: ProcessFault) -> RunError {
        RunFailure::Process { name: self.name.clone(), fault, last_words: self.last_words() }.into()
    }

    fn kill_group(&self) {
        if let Some(child) = &self.child {
            // ESRCH means that all of the group is gone, which is what is wanted.
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_none() {
            return;
        }
        self.terminate();
        self.ends_by(Instant::now() + GRACE);
        self.kill_group();
        if let Some(child) = self.child.take() {
            // Nobody is left to hear of an error, and the process is killed.
            let _ = wait4(child);
        }
    }
}
