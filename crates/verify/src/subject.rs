//! What is compared with the reference: a program, asked packet by packet.

use std::{io, net::IpAddr};

use weir_filters::{Verdict, corpus::Case};
use weir_hooks::{HookError, KernelFilter};

/// Something that decides packets as a filter should.
pub trait Subject {
    /// Decides a packet.
    ///
    /// # Errors
    /// It decided nothing: a verdict that its hook doesn't know, or what the machine says.
    fn decide_one(&mut self, case: &Case) -> anyhow::Result<Decided>;

    /// Decides each packet, in order, into `decided`, which holds nothing else.
    ///
    /// # Errors
    /// As [`Self::decide_one`].
    fn decide_all(&mut self, cases: &[Case], decided: &mut Vec<Decided>) -> anyhow::Result<()> {
        decided.clear();
        for case in cases {
            decided.push(self.decide_one(case)?);
        }
        Ok(())
    }

    /// The program, for what its maps hold.
    fn program(&self) -> &KernelFilter;

    /// Who sends a packet, where that isn't in what a program sees of it.
    fn sender(&self, _case: &Case) -> Option<IpAddr> {
        None
    }
}

/// What came of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The program ran.
    Verdict(Verdict),
    /// It can't be given such a packet this way: `BPF_PROG_TEST_RUN` refuses the frame as too short or too long, or no
    /// socket sends it.
    NotRunnable,
}

/// A loaded program through `BPF_PROG_TEST_RUN`.
impl Subject for KernelFilter {
    fn decide_one(&mut self, case: &Case) -> anyhow::Result<Decided> {
        match self.decide(&case.seen, case.segments) {
            Ok(verdict) => Ok(Decided::Verdict(verdict)),
            Err(error) if is_refused(&error) => Ok(Decided::NotRunnable),
            Err(error) => Err(error.into()),
        }
    }

    fn program(&self) -> &KernelFilter {
        self
    }
}

/// Whether the kernel's test run refuses the frame, not the program (net/bpf/test_run.c).
pub(super) fn is_refused(error: &HookError) -> bool {
    matches!(error, HookError::Call { io_error, .. } if io_error.kind() == io::ErrorKind::InvalidInput)
}
