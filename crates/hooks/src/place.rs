//! The hooks as the kernel knows them: the type of program that each takes, the frame that shows it given bytes, and
//! what its verdicts are.

use std::borrow::Cow;

use weir_filters::{Hook, Verdict};
use weir_wire::headers::ethernet;

use crate::{HookError, ProgramType};

/// What is known of a hook.
pub(crate) struct HookFacts {
    pub(crate) program_type: ProgramType,
    /// Which frame shows a program there given bytes (`BPF_PROG_TEST_RUN`); none where the kernel runs none so.
    frame: Option<TestFrame>,
    hook: Hook,
}

/// A frame of `BPF_PROG_TEST_RUN`.
#[derive(Clone, Copy)]
enum TestFrame {
    /// The bytes themselves.
    Bare,
    /// The bytes behind an Ethernet header.
    BehindEthernet,
}

impl HookFacts {
    /// What is known of that one.
    ///
    /// # Errors
    /// The hook is the server's own loop, where the kernel has no program.
    pub(crate) fn of(hook: Hook) -> Result<Self, HookError> {
        use TestFrame::{Bare, BehindEthernet};
        let (program_type, frame) = match hook {
            Hook::User => {
                return Err(HookError::Other {
                    doing: "loading",
                    what: format!("a program for hook {hook}"),
                    reason: "the kernel has none there: it is the server's own loop".to_owned(),
                });
            }
            Hook::Socket => (ProgramType::Socket, Some(BehindEthernet)),
            Hook::Reuseport => (ProgramType::SkReuseport, None),
            Hook::Cgroup => (ProgramType::CgroupSkb, Some(BehindEthernet)),
            Hook::Tc => (ProgramType::Tc, Some(Bare)),
            Hook::Xdp => (ProgramType::Xdp, Some(Bare)),
        };
        Ok(Self { program_type, frame, hook })
    }

    /// The frame that shows a program there those bytes; none where the kernel runs no such program on given bytes.
    pub(crate) fn frame<'a>(&self, seen: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        self.frame.map(|frame| match frame {
            TestFrame::Bare => seen.into(),
            TestFrame::BehindEthernet => behind_ethernet(seen).into(),
        })
    }

    /// What that return value says, if it is a verdict.
    pub(crate) fn verdict(&self, return_value: u32) -> Option<Verdict> {
        let (accept, drop) = self.hook.returns();
        match return_value as i32 {
            value if value == drop => Some(Verdict::Drop),
            value if value == accept || self.hook == Hook::Socket => Some(Verdict::Accept),
            _ => None,
        }
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
