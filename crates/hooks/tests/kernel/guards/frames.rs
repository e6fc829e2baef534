//! Frames that aren't just a header behind the other, or can't be judged.

use weir_asm::Endian;
use weir_filters::{
    Carried, Found, Hook, Layer, Site, corpus,
    fun::service::{DECISIONS, MOST_READ_OF_FRAMES, service_object},
};
use weir_guard::{
    meaning::{Decision, Fate, Memory, Packet, Service, UnjudgedKind},
    text,
};
use weir_hooks::AnyProgram;
use weir_testing::scaled;
use weir_wire::headers::ethernet;

use super::{LISTEN, Protocols, counted, guard_of, hooks, is_accepted, loaded, seen, site};

const ENDPOINTS: [&str; 4] = ["10.0.0.2:12345", "0.0.0.0:12345", "[fd00::2]:12345", "[::]:12345"];
/// Random ones, besides those that every run has.
const FRAMES: usize = 2000;

pub(super) fn are_decided_as_by_the_interpreter() {
    for (seed, endpoint) in (0..).zip(ENDPOINTS) {
        for hook in hooks().filter(|hook| hook.layer() != Layer::Udp) {
            check(&guard(seed), &site(hook, endpoint.parse().expect("an address")), seed);
        }
    }
}

/// A name may stand anywhere in the payload: what is longer than helpers read is dropped and counted, whatever it is.
pub(super) fn of_which_no_helper_reads_the_end() {
    let guard = guard_of("protocol = \"dns\"\naccept = [\"query\"]");
    for hook in hooks().filter(|hook| *hook == Hook::Xdp) {
        let program = loaded(&guard, hook, LISTEN).expect("it loads");
        let map = program.map(DECISIONS).expect("it has the map");
        let source = "192.0.2.1:40000".parse().expect("an address");
        let headers = seen(hook.layer(), source, &[]).len();
        for (len, decision) in [
            (MOST_READ_OF_FRAMES - headers, Decision::NoMessage),
            (MOST_READ_OF_FRAMES - headers + 1, Decision::Unjudged(UnjudgedKind::Unreadable, Fate::Drop)),
        ] {
            let count = || {
                counted(&map, &guard).into_iter().find(|(each, _)| *each == decision).map(|(_, count)| count)
            };
            let before = count().expect("it is listed");
            assert!(!is_accepted(&program, hook, source, &vec![0; len]), "{len} bytes");
            assert_eq!(count(), Some(before + 1), "{decision:?}, {len} bytes");
        }
    }
}

/// One of the bag, with lists that have some of the corpus's sources, and that drops one kind of what it can't judge, or passes it.
fn guard(seed: u64) -> Service {
    let fate = |number: u64| if seed == number { "pass" } else { "drop" };
    let text = format!(
        "[[service]]\nname = \"bag\"\nlisten = \"udp/12345\"\nmode = \"enforce\"\nprotocol = \"bag\"\n\
         accept = [\"get\", \"stop\"]\nallow = [\"10.137.0.0/16\", \"2001:db8::/32\"]\n\
         block = [\"10.9.9.0/24\", \"fd00:9:8:7:8000::/65\", \"203.0.113.0/24\"]\n\
         fragments = \"{}\"\nunreadable = \"{}\"\nsuper_packets = \"{}\"\n",
        fate(1),
        fate(2),
        fate(3)
    );
    let reading = text::guard(&text, &mut Protocols);
    reading.services.unwrap_or_else(|| panic!("{:?}", reading.diagnostics)).remove(0)
}

fn check(guard: &Service, site: &Site, seed: u64) {
    let object = service_object(guard, site).expect("it is made");
    let program = AnyProgram::load(&object.to_elf(Endian::NATIVE).expect("it is an object"), None);
    let mut program = program.unwrap_or_else(|error| panic!("{site:?}: {error}"));
    program.set_lists(guard).expect("there is room");
    let (accept, drop) = site.hook.returns();
    let mut expected: Vec<_> = guard.decisions().into_iter().map(|decision| (decision, 0)).collect();
    let mut refused = 0;
    let some = corpus::boundaries(site, &[]) + scaled(FRAMES);
    for case in corpus::cases(site, &[], seed).take(some) {
        let decision = decision(guard, site, &case.seen, case.segments);
        let frame = match site.hook.layer() {
            Layer::Ip => [&vec![0; ethernet::TYPE_OFFSET][..], &[0x88, 0xb5], &case.seen].concat(),
            Layer::Ethernet | Layer::Udp => case.seen.clone(),
        };
        let Ok(returned) = program.test_run_of(&frame, case.segments, 1) else {
            refused += 1;
            continue;
        };
        let is_accepted = decision.is_none_or(Decision::is_accepted);
        assert_eq!(
            returned.return_value as i32,
            if is_accepted { accept } else { drop },
            "{site:?}: {decision:?} of {} in {:02x?}",
            case.segments,
            case.seen
        );
        expected.iter_mut().filter(|(each, _)| Some(*each) == decision).for_each(|(_, count)| *count += 1);
    }
    // What the kernel runs no program on: frames that end in a header that it reads itself, and long ones.
    assert!(refused < some / 3, "{refused} of {some} frames are refused");
    let unjudged = expected.iter().filter(|(decision, _)| matches!(decision, Decision::Unjudged(..)));
    let is_told = |kind| kind != UnjudgedKind::SuperPacket || site.hook == Hook::Tc;
    let is_v6 = site.endpoint.address.is_ipv6();
    for (decision, count) in unjudged {
        let &Decision::Unjudged(kind, _) = decision else { continue };
        let comes = is_told(kind) && (is_v6 || kind != UnjudgedKind::Unreadable);
        assert!(*count > 0 || !comes, "no packet at {site:?} is decided as {decision:?}");
    }
    let map = program.map(DECISIONS).expect("it has the map");
    assert_eq!(counted(&map, guard), expected, "{site:?}");
}

/// The interpreter's, of what the reference finds; nothing of what isn't the service's.
fn decision(guard: &Service, site: &Site, seen: &[u8], segments: u32) -> Option<Decision> {
    let kind = match site.find(seen, segments) {
        Found::Other => return None,
        Found::Packet(_) => {
            let Carried::Udp(udp) = Carried::of(site.hook.layer(), seen, 0) else {
                panic!("a packet for the service in {seen:02x?} that is none in a capture");
            };
            let packet = Packet { source: udp.source, payload: udp.payload, len: udp.len };
            return Some(guard.decide(&packet, &mut Memory::default(), 0));
        }
        Found::FirstFragment => UnjudgedKind::Fragment,
        Found::Unreadable => UnjudgedKind::Unreadable,
        Found::SuperPacket => UnjudgedKind::SuperPacket,
    };
    Some(guard.decide_unjudged(kind, site.source(seen).expect("it has an IP header")))
}
