//! Running a loaded filter on packets of our own: `BPF_PROG_TEST_RUN` (Linux 4.12).

use std::{borrow::Cow, io, time::Duration};

use aya::programs::TestRunOptions;
use weir_filters::{GsoView, Hook, Layer, Verdict};
use weir_wire::{context::sk_buff, headers::ethernet};

use crate::{HookError, KernelFilter, program_type::run};

impl KernelFilter {
    /// Decides one packet in the kernel: `seen` as its hook sees it ([`weir_filters::Hook::layer`] says from which header
    /// on), of which the kernel says that it is `segments` datagrams; 0 and 1 are both one. It has at least one byte
    /// where the hook's first header isn't Ethernet and 14 where it is, and at most about 3.7 kB.
    ///
    /// # Errors
    /// The kernel runs no `sk_reuseport` programs on given bytes; programs elsewhere than at tc aren't told of segments,
    /// so that there `segments` above 1 can't be run; or what the kernel says.
    pub fn decide(&self, seen: &[u8], segments: u32) -> Result<Verdict, HookError> {
        let (returned, _) = self.test_run(seen, segments, 1)?;
        let hook = self.site.hook;
        hook.verdict(returned as i32).ok_or_else(|| {
            self.other(
                "a test run",
                format!("it returned {}, which hook {hook} has no verdict for", returned as i32),
            )
        })
    }

    /// Mean time of a run over `repeat` runs on one packet, as the kernel measures it; the cost of an empty program
    /// and of the loop around it included. `seen`, `segments` and errors as for [`Self::decide`].
    pub fn time(&self, seen: &[u8], segments: u32, repeat: u32) -> Result<Duration, HookError> {
        self.test_run(seen, segments, repeat).map(|(_, mean)| mean)
    }

    /// The frame that shows the program those bytes; none where the kernel runs no such program on given bytes.
    pub(crate) fn frame<'a>(&self, seen: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        self.program_type.runs_on_bytes().then(|| match self.site.hook.layer() {
            Layer::Ethernet => seen.into(),
            Layer::Ip | Layer::Udp => behind_ethernet(seen).into(),
        })
    }

    fn test_run(&self, seen: &[u8], segments: u32, repeat: u32) -> Result<(u32, Duration), HookError> {
        let hook = self.site.hook;
        let frame = self.frame(seen).ok_or_else(|| {
            let reason =
                "the kernel runs no program of that type on given bytes (BPF_PROG_TEST_RUN); send it packets";
            self.other("a test run", format!("{reason} at hook {hook}"))
        })?;
        let context = (segments > 1).then(segmented);
        if context.is_some() && self.site.hook.gso() != GsoView::Told {
            let reason =
                format!("a program at hook {hook} isn't told of segments, and {segments} were given");
            return Err(self.other("a test run", reason));
        }
        if hook == Hook::Xdp && !self.site.features.xdp_frags && frame.len() > FIRST_PIECE {
            // The kernel would run it on the first piece of such a frame, which no driver shows it.
            return Err(self.call_error(
                "a test run",
                "BPF_PROG_TEST_RUN",
                io::Error::from_raw_os_error(libc::EINVAL),
            ));
        }
        let options = TestRunOptions {
            data_in: Some(&frame),
            ctx_in: context.as_deref(),
            repeat,
            ..TestRunOptions::default()
        };
        let result =
            run(self.program()?, options).map_err(|error| self.program_error("a test run", error))?;
        Ok((result.return_value, result.duration))
    }
}

/// An ethertype for local experiments (IEEE 802): an IP one would have the kernel look for an IP header in the test
/// frame, and refuse one that is cut off (net/bpf/test_run.c, bpf_prog_test_run_skb).
const EXPERIMENTAL: u16 = 0x88b5;

/// The frame of which a socket filter, or one of a control group, sees `packet`: the kernel strips an Ethernet header
/// before.
pub(crate) fn behind_ethernet(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER_LEN];
    frame[ethernet::TYPE_OFFSET..].copy_from_slice(&EXPERIMENTAL.to_be_bytes());
    frame.extend_from_slice(packet);
    frame
}

/// How long the first piece of a frame is in a test run, bytes: a page without room before and behind it (net/bpf/test_run.c,
/// bpf_prog_test_run_xdp).
const FIRST_PIECE: usize = 4096 - 256 - 320;

/// The context of a packet that is several datagrams, all else being nothing: nobody has counted them.
pub(crate) fn segmented() -> Vec<u8> {
    const GSO_SIZE: u32 = 1;
    let mut context = vec![0; sk_buff::LEN];
    context[sk_buff::GSO_SIZE_OFFSET..][..size_of::<u32>()].copy_from_slice(&GSO_SIZE.to_ne_bytes());
    context
}
