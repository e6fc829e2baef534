//! Running a loaded filter on packets of our own: `BPF_PROG_TEST_RUN` (Linux 4.12).

use std::time::Duration;

use aya::programs::{TestRun as _, TestRunOptions};
use weir_filters::Verdict;

use crate::{HookError, KernelFilter};

/// What the kernel strips from a test frame before a socket filter sees it: an Ethernet header, here with an
/// ethertype for local experiments (0x88b5, IEEE 802), because an IP one would have the kernel look for an IP
/// header (net/bpf/test_run.c, bpf_prog_test_run_skb).
const FRAME_HEADER: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xb5];

/// The frame of which a socket filter sees `packet`.
pub(crate) fn socket_frame(packet: &[u8]) -> Vec<u8> {
    [&FRAME_HEADER[..], packet].concat()
}

impl KernelFilter {
    /// Decides one packet in the kernel. `packet` begins with the UDP header, has at least one byte and at most
    /// about 3.7 kB.
    pub fn decide(&self, packet: &[u8]) -> Result<Verdict, HookError> {
        let (bytes_to_keep, _) = self.test_run(packet, 1)?;
        Ok(if bytes_to_keep == 0 { Verdict::Drop } else { Verdict::Accept })
    }

    /// Mean time of a run over `repeat` runs on one packet, as the kernel measures it; the cost of an empty program
    /// and of the loop around it included.
    pub fn time(&self, packet: &[u8], repeat: u32) -> Result<Duration, HookError> {
        self.test_run(packet, repeat).map(|(_, mean)| mean)
    }

    fn test_run(&self, packet: &[u8], repeat: u32) -> Result<(u32, Duration), HookError> {
        let frame = socket_frame(packet);
        let options = TestRunOptions { data_in: Some(&frame), repeat, ..TestRunOptions::default() };
        let result = self
            .socket_filter()?
            .test_run(options)
            .map_err(|error| self.program_error("a test run", error))?;
        Ok((result.return_value, result.duration))
    }
}
