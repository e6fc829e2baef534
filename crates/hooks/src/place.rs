//! The hooks as the kernel knows them: the type of program that each takes, the frame that shows it given bytes, and
//! what its verdicts are.

use std::borrow::Cow;

use weir_filters::{Hook, Verdict};
use weir_wire::headers::ethernet;

use crate::{HookError, ProgramType};

/// What is known of a hook.
pub(crate) struct HookFacts {
    hook: Hook,
    pub(crate) program_type: ProgramType,
    /// Which frame shows a program there given bytes (`BPF_PROG_TEST_RUN`); none where the kernel runs none so.
    frame: Option<TestFrame>,
    /// Whether a program there is told that a packet is several datagrams (`gso_size` of `struct __sk_buff`).
    pub(crate) sees_segments: bool,
    drop: i32,
    /// Every value but `drop` where there is none.
    accept: Option<i32>,
}

/// A frame of `BPF_PROG_TEST_RUN`.
#[derive(Clone, Copy)]
enum TestFrame {
    /// The bytes themselves.
    Bare,
    /// The bytes behind an Ethernet header.
    BehindEthernet,
}

/// Verdicts are those of include/uapi/linux/bpf.h: `TCX_NEXT` and `TCX_DROP`, `XDP_PASS` and `XDP_DROP`, `SK_PASS` and
/// `SK_DROP`; a socket filter's is how many bytes to keep.
const PLACES: [HookFacts; 5] = [
    HookFacts {
        hook: Hook::Socket,
        program_type: ProgramType::Socket,
        frame: Some(TestFrame::BehindEthernet),
        sees_segments: false,
        drop: 0,
        accept: None,
    },
    HookFacts {
        hook: Hook::Reuseport,
        program_type: ProgramType::SkReuseport,
        frame: None,
        sees_segments: false,
        drop: 0,
        accept: Some(1),
    },
    HookFacts {
        hook: Hook::Cgroup,
        program_type: ProgramType::CgroupSkb,
        frame: Some(TestFrame::BehindEthernet),
        sees_segments: false,
        drop: 0,
        accept: Some(1),
    },
    HookFacts {
        hook: Hook::Tc,
        program_type: ProgramType::Tc,
        frame: Some(TestFrame::Bare),
        sees_segments: true,
        drop: 2,
        accept: Some(-1),
    },
    HookFacts {
        hook: Hook::Xdp,
        program_type: ProgramType::Xdp,
        frame: Some(TestFrame::Bare),
        sees_segments: false,
        drop: 1,
        accept: Some(2),
    },
];

impl HookFacts {
    /// # Errors
    /// The hook is the server's own loop, where the kernel has no program.
    pub(crate) fn of(hook: Hook) -> Result<&'static Self, HookError> {
        const { &PLACES }.iter().find(|place| place.hook == hook).ok_or_else(|| HookError::Other {
            doing: "loading",
            what: format!("a program for hook {hook}"),
            reason: "the kernel has none there: it is the server's own loop".to_owned(),
        })
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
        match return_value as i32 {
            value if value == self.drop => Some(Verdict::Drop),
            value if self.accept.is_none_or(|accept| accept == value) => Some(Verdict::Accept),
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
