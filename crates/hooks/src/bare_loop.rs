//! The system call of a test run and nothing else: what running programs on many packets is measured against.

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _},
    time::{Duration, Instant},
};

use aya_obj::generated::{bpf_attr, bpf_cmd};

use crate::{HookError, KernelFilter};

impl KernelFilter {
    /// Time of so many calls of `BPF_PROG_TEST_RUN` on one packet, one run each, with one datagram; `seen` as for
    /// [`Self::decide`].
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub fn bare_loop(&self, seen: &[u8], times: u32) -> Result<Duration, HookError> {
        self.decide(seen, 1)?;
        let fd = self.program()?.fd().map_err(|error| self.program_error("a test run", error))?;
        let frame = self.frame(seen).expect("it was just run");
        // SAFETY: the union is plain data, for which zeroes are valid.
        let mut attr = unsafe { mem::zeroed::<bpf_attr>() };
        attr.test.prog_fd = fd.as_fd().as_raw_fd() as u32;
        attr.test.data_in = frame.as_ptr() as u64;
        attr.test.data_size_in = frame.len() as u32;
        attr.test.repeat = 1;
        let started = Instant::now();
        for _ in 0..times {
            let command = bpf_cmd::BPF_PROG_TEST_RUN;
            // SAFETY: the kernel reads the union, of that size, and the frame that it names; it writes to the union alone.
            let result =
                unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<bpf_attr>()) };
            if result < 0 {
                let what = self.site().hook.to_string();
                let io_error = io::Error::last_os_error();
                let call = "BPF_PROG_TEST_RUN";
                return Err(HookError::call("a test run", &what, self.needed(), call, io_error));
            }
        }
        Ok(started.elapsed())
    }
}
