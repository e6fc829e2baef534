//! Lines of the kernel's trace buffer, where `bpf_trace_printk` writes.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::{
    HookError,
    tracefs::{self, TRACEFS},
};

/// The lines that contain a marker. Reading takes lines out of the buffer, others' too: the kernel has one, and lets
/// one process at a time read it.
#[derive(Debug)]
pub struct TraceLines {
    pipe: File,
    marker: String,
    /// What was read of a line whose end was not.
    partial: Vec<u8>,
}

/// How much one look takes out at most, bytes: another tracer may write faster than this reads.
const MOST_AT_ONCE: usize = 1 << 22;

impl TraceLines {
    /// The lines of every program of the machine, from now on: what writes them isn't said in them. The program that calls
    /// `bpf_trace_printk` is to be attached afterwards.
    ///
    /// Needs root, or CAP_DAC_READ_SEARCH, and CAP_SYS_ADMIN where tracefs is mounted nowhere.
    ///
    /// # Errors
    /// Another process reads them already, or what else the kernel says.
    pub fn of_every_program() -> Result<Self, HookError> {
        // As the kernel prints the event `bpf_trace_printk` (kernel/trace/bpf_trace.h).
        let mut lines = tracefs::mounted(|| Self::open(": bpf_trace_printk: ".to_owned()))?;
        lines.look(|_| {})?;
        Ok(lines)
    }

    /// To be called where tracefs is mounted; the pipe stays open without it.
    pub(crate) fn open(marker: String) -> Result<Self, HookError> {
        let path = Path::new(TRACEFS).join("trace_pipe");
        let pipe = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        Ok(Self { pipe: pipe.map_err(HookError::TracePipe)?, marker, partial: Vec::new() })
    }

    /// Calls `show` with each line that has come since the last look; doesn't wait.
    pub fn look(&mut self, mut show: impl FnMut(&str)) -> Result<(), HookError> {
        let mut chunk = [0; 8192];
        let mut taken = 0;
        while taken < MOST_AT_ONCE {
            match self.pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => {
                    taken += len;
                    self.partial.extend(&chunk[..len]);
                    self.show_whole_lines(&mut show);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(HookError::TracePipe(error)),
            }
        }
        Ok(())
    }

    fn show_whole_lines(&mut self, show: &mut impl FnMut(&str)) {
        let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else { return };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        for line in String::from_utf8_lossy(&whole).lines().filter(|line| line.contains(&self.marker)) {
            show(line.trim_start());
        }
    }
}
