//! What is compared with the reference: a program, asked packet by packet.

use std::{io, net::IpAddr};

use weir_filters::{Verdict, corpus::Case};
use weir_hooks::{HookError, KernelFilter};

/// Something that decides packets as a filter should.
pub trait Subject {
    /// Decides each packet, in order, into `decided`, which holds nothing else.
    ///
    /// # Errors
    /// It decided nothing: a verdict that its hook doesn't know, or what the machine says.
    fn decide(&mut self, cases: &[Case], decided: &mut Vec<Decided>) -> anyhow::Result<()>;

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
    fn decide(&mut self, cases: &[Case], decided: &mut Vec<Decided>) -> anyhow::Result<()> {
        decided.clear();
        for case in cases {
            decided.push(match Self::decide(self, &case.seen, case.segments) {
                Ok(verdict) => Decided::Verdict(verdict),
                Err(error) if is_refused(&error) => Decided::NotRunnable,
                Err(error) => return Err(error.into()),
            });
        }
        Ok(())
    }

    fn program(&self) -> &KernelFilter {
        self
    }
}

/// Whether the kernel's test run refuses the frame, not the program (net/bpf/test_run.c).
fn is_refused(error: &HookError) -> bool {
    matches!(error, HookError::Call { io_error, .. } if io_error.kind() == io::ErrorKind::InvalidInput)
}

impl dyn Subject {
    /// Decides one packet.
    ///
    /// # Errors
    /// As [`Subject::decide`].
    pub fn decide_one(&mut self, case: &Case) -> anyhow::Result<Decided> {
        let mut decided = Vec::with_capacity(1);
        self.decide(std::slice::from_ref(case), &mut decided)?;
        Ok(decided[0])
    }
}
