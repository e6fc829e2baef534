//! Every generated program decides frames as the reference does, at each hook below the socket that the kernel runs on
//! frames of ours.

mod generator;

use weir_asm::Endian;
use weir_filters::{
    Filter, FilterName, Found, Hook, Layer, Parameter, Site, SuperPackets, Verdict, fun, fun::map::VERDICTS,
};
use weir_hooks::AnyProgram;
use weir_wire::headers::ethernet;

use crate::{Test, once};
use generator::Frames;

pub(crate) const TESTS: &[Test] = &[
    once("fun_at_cgroup_decides_frames_as_the_reference", || check_hook(Hook::Cgroup)),
    once("fun_at_tc_decides_frames_as_the_reference", || check_hook(Hook::Tc)),
    once("fun_at_xdp_decides_frames_as_the_reference", || check_hook(Hook::Xdp)),
];

/// An address of each version, and what stands for every address.
const ENDPOINTS: [&str; 4] = ["10.0.0.2:12345", "0.0.0.0:12345", "[fd00::2]:12345", "[::]:12345"];

/// Frames for each filter at each endpoint; the ones that look at payloads get most.
const JUDGED: usize = 25_000;
const COUNTED: usize = 2_500;

fn check_hook(hook: Hook) {
    for (number, endpoint) in ENDPOINTS.into_iter().enumerate() {
        let site = Site::new(hook, endpoint.parse().expect("an address"));
        for name in FilterName::ALL {
            let is_judging = matches!(name, FilterName::ValidCommand | FilterName::RobustValidCommand);
            let frames = if is_judging { JUDGED } else { COUNTED };
            check(name.into(), &site, Frames::new(site.endpoint, number as u64).take(frames));
        }
        let drop = Filter { parameter: Parameter::Drop, ..FilterName::Parameterized.into() };
        let constant = Filter { binding: weir_filters::Binding::Constant, ..drop };
        check(constant, &site, Frames::new(site.endpoint, 9).take(COUNTED));
        let passing = Site { super_packets: SuperPackets::Pass, ..site };
        check(FilterName::Reject.into(), &passing, Frames::new(site.endpoint, 10).take(COUNTED));
    }
}

fn check(filter: Filter, site: &Site, frames: impl Iterator<Item = Vec<u8>>) {
    let object = fun::object(filter, site).to_elf(Endian::Little).expect("it is written");
    let program =
        AnyProgram::load(&object, None).unwrap_or_else(|error| panic!("{filter:?} at {site:?}: {error}"));
    let mut counts = [0, 0];
    let mut decided = 0;
    for frame in frames {
        let seen = &frame[start(site.hook)..];
        let expected = filter.decide_at(site, seen, 1);
        let run = match program.test_run(&frame, 1) {
            Ok(run) => run,
            Err(error) => {
                assert!(is_refused(site.hook, &frame), "{error} on {frame:02x?}");
                continue;
            }
        };
        let name = program.program_type().verdict(run.return_value);
        let verdict = match name {
            "drop" | "shot" => Verdict::Drop,
            "accept" | "unspec" | "pass" => Verdict::Accept,
            _ => panic!("{filter:?} at {site:?} gave {name} on {frame:02x?}"),
        };
        assert_eq!(verdict, expected, "{filter:?} at {site:?} on {frame:02x?}");
        decided += 1;
        if matches!(site.find(seen, 1), Found::Packet(_)) {
            counts[usize::from(verdict == Verdict::Drop)] += 1;
        }
    }
    if filter.name != FilterName::Simple {
        let map = program.map(VERDICTS).expect("it counts");
        let copies = map.get(0).expect("it is read").expect("the only value");
        let sum = |slot: usize| copies.iter().map(|copy| copy[slot]).sum::<u64>();
        assert_eq!([sum(0), sum(1)], counts, "{filter:?} at {site:?}");
        let ours: u64 = counts.iter().sum();
        assert!(ours > decided / 10 && ours < decided, "{ours} of {decided} frames are the server's");
    }
}

/// Where in a test run's frame the program's view begins.
fn start(hook: Hook) -> usize {
    if hook.layer() == Layer::Ip { ethernet::HEADER_LEN } else { 0 }
}

/// What the kernel doesn't run programs on (net/bpf/test_run.c): less than an Ethernet header, or, where it makes a
/// packet's buffer, nothing behind it or less of an IP header than it reads itself.
fn is_refused(hook: Hook, frame: &[u8]) -> bool {
    let Some(behind) = frame.get(ethernet::HEADER_LEN..) else { return true };
    let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
    let least = match ethertype {
        ethernet::IPV4 => 20,
        ethernet::IPV6 => 40,
        _ => 1,
    };
    hook != Hook::Xdp && behind.len() < least
}
