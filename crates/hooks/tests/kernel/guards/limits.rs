//! Limits: what no source can take away, and tokens that come back.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use weir_filters::{Hook, fun::service};
use weir_guard::meaning::{Decision, LimitId, Memory, MessageId, Packet, RateLimit};

use super::{LISTEN, counted, guard_of, is_accepted, loaded};

/// What A2S clients send: `A2S_INFO`, and `A2A_PING`.
const INFO: &[u8] = b"\xff\xff\xff\xffTSource Engine Query\0";
const PING: &[u8] = b"\xff\xff\xff\xffi";

/// More than the map of sources has room for.
const FORGED: u32 = 100_000;

pub(super) fn for_all_against_forged_sources() {
    let guard = guard_of(
        r#"protocol = "a2s"
accept = ["info", "ping"]
limit = [
    { message = "info", per = "all", rate = "1/h", burst = 5 },
    { message = "ping", per = "source/32,/64", rate = "1/h", burst = 1 },
]"#,
    );
    let program = loaded(&guard, Hook::Cgroup, LISTEN).expect("it is loaded");
    let passes = |source: u32, payload: &[u8]| {
        let source = SocketAddr::new(Ipv4Addr::from_bits(source).into(), 1000);
        is_accepted(&program, Hook::Cgroup, source, payload)
    };
    let infos = || (0..20).filter(|number| passes(10 << 24 | number, INFO)).count();
    assert_eq!(infos(), 5);
    assert_eq!((0..FORGED).filter(|source| passes(11 << 24 | source, PING)).count(), FORGED as usize);
    assert_eq!(infos(), 0, "none has come back within the hour");
}

/// From a token to the next.
const INTERVAL: Duration = Duration::from_millis(100);

/// The earliest and the latest moment at which a bucket's next packet may be due, ns, where each packet came within two moments.
#[derive(Clone, Copy, Default)]
struct Due {
    earliest: u64,
    latest: u64,
}

impl Due {
    /// Whether a packet conforms that came within these moments, where that is sure.
    fn conforms(self, rate: RateLimit, [before, behind]: [u64; 2]) -> Option<bool> {
        if self.latest <= before + rate.tolerance() {
            Some(true)
        } else if self.earliest > behind + rate.tolerance() {
            Some(false)
        } else {
            None
        }
    }

    /// One has conformed.
    fn spend(&mut self, rate: RateLimit, [before, behind]: [u64; 2]) {
        self.earliest = self.earliest.max(before) + rate.interval.get();
        self.latest = self.latest.max(behind) + rate.interval.get();
    }
}

pub(super) fn now() -> u64 {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has it")).as_nanos() as u64
}

pub(super) fn filled_again() {
    for per in ["all", "source/24,/56"] {
        let guard = guard_of(&format!(
            "protocol = \"a2s\"\naccept = [\"info\"]\nlimit = [{{ per = \"{per}\", rate = \"10/s\", burst = 4 }}]"
        ));
        let rate = guard.limits[0].rate;
        assert_eq!(u128::from(rate.interval.get()), INTERVAL.as_nanos());
        let program = loaded(&guard, Hook::Cgroup, LISTEN).expect("it is loaded");
        let source = SocketAddr::new(IpAddr::from([192, 0, 2, 1]), 1000);
        let packet = Packet::whole(source, INFO);
        let (mut due, mut memory, mut passed) = (Due::default(), Memory::default(), 0);
        let begun = now();
        // Emptied, filled by one or two tokens, and by more than it has room for.
        for pause in [0, 1, 2, 9].map(|tokens| INTERVAL * tokens) {
            thread::sleep(pause);
            for _ in 0..8 {
                let before = now();
                let conforms = is_accepted(&program, Hook::Cgroup, source, INFO);
                let moments = [before, now()];
                let expected = due.conforms(rate, moments);
                assert!(
                    expected.is_none_or(|expected| conforms == expected),
                    "{per}: {moments:?}, {conforms}"
                );
                if conforms {
                    due.spend(rate, moments);
                    passed += 1;
                }
            }
        }
        // What is said above of moments is what the interpreter says of one.
        let mut exactly = Due::default();
        for moment in (0..200).map(|number| begun + number * number * 1_000_000) {
            let decision = guard.decide(&packet, &mut memory, moment);
            let expected = exactly.conforms(rate, [moment; 2]);
            assert_eq!(Some(decision.is_accepted()), expected, "{moment}");
            if decision.is_accepted() {
                exactly.spend(rate, [moment; 2]);
            }
        }
        // The first of all find a full bucket, and those behind a pause what came back in it, however slow the machine is.
        let most = 4 + (now() - begun) / rate.interval.get();
        assert!((4 + 1 + 2 + 4..=most).contains(&passed), "{per}: {passed} of {most}");
        let over = Decision::OverLimit(MessageId(0), LimitId(0));
        assert!(
            counted(&program.map(service::DECISIONS).expect("it has the map"), &guard)
                .contains(&(over, 32 - passed)),
            "{per}: {passed}"
        );
    }
}
