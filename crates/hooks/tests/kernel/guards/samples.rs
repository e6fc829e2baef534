//! Samples: copies of what is dropped, of nothing else, and no more than the guard says.

use std::{collections::HashSet, iter, mem::discriminant, net::SocketAddr, thread, time::Duration};

use weir_filters::{
    Hook, Layer,
    fun::service::{DECISIONS, LOST_SAMPLES, SAMPLED_LEN, SAMPLES, SampledPacket},
};
use weir_guard::{
    meaning::{Decision, Memory, Mode, Packet, Service},
    protocols,
};
use weir_hooks::{AnyProgram, Map, maps::Records};

use super::{LISTEN, counted, guard_of, guard_of_protocol, hooks, is_accepted, limits::now, loaded, seen};

/// A rate that no test exceeds: a tenth of a second's packets at once.
const ALL: &str = "sample = { dropped = \"1000000/s\", to = \"x.pcapng\" }";

/// What A2S clients send: `A2S_INFO`, and `A2A_PING`.
const INFO: &[u8] = b"\xff\xff\xff\xffTSource Engine Query\0";
const PING: &[u8] = b"\xff\xff\xff\xffi";

/// A program with the reading end of its samples.
fn sampling(guard: &Service, hook: Hook) -> (AnyProgram, Records<SampledPacket>) {
    let mut program =
        loaded(guard, hook, LISTEN).unwrap_or_else(|error| panic!("{hook}: {error}\n{guard:#?}"));
    program.set_lists(guard).expect("there is room");
    let records = program.take_records(SAMPLES).expect("it has the map");
    (program, records)
}

fn taken(records: &mut Records<SampledPacket>) -> Vec<SampledPacket> {
    iter::from_fn(|| records.take().expect("records have their length")).collect()
}

fn lost(program: &AnyProgram) -> u64 {
    let map = program.map(LOST_SAMPLES).expect("it has the map");
    map.get(0).expect("it can be read").expect("it is there").into_iter().sum()
}

/// The packet as programs at the hook see it.
fn whole(hook: Hook, source: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let given = seen(hook.layer(), source, payload);
    if hook.layer() == Layer::Ip { given[14..].to_vec() } else { given }
}

pub(super) fn are_of_what_is_dropped() {
    let blocked: SocketAddr = "192.0.2.1:1000".parse().expect("an address");
    let other: SocketAddr = "198.51.100.1:1000".parse().expect("an address");
    let (long, edge) = (vec![7; 1200], vec![7; SAMPLED_LEN - 8]);
    let payloads = [INFO, b"", PING, b"\xff\xff\xff\xffV\0\0\0\0", INFO, b"x", &long, &edge, PING, INFO];
    for (hook, mode) in hooks().flat_map(|hook| [Mode::Enforce, Mode::Observe].map(|mode| (hook, mode))) {
        // At the socket a test run has no source.
        let block = if hook.layer() == Layer::Udp { "" } else { "block = [\"192.0.2.0/24\"]" };
        let mut guard = guard_of(&format!(
            "protocol = \"a2s\"\naccept = [\"info\", \"ping\"]\n\
             limit = [{{ message = \"info\", per = \"all\", rate = \"1/h\" }}]\n{block}\n{ALL}"
        ));
        guard.mode = mode;
        let decisions = guard.decisions();
        let (program, mut records) = sampling(&guard, hook);
        let mut memory = Memory::default();
        let mut kinds = HashSet::new();
        for (source, payload) in
            [other, blocked].into_iter().flat_map(|source| payloads.map(|each| (source, each)))
        {
            let decision = guard.decide(&Packet::whole(source, payload), &mut memory, 0);
            let before = now();
            let accepts = is_accepted(&program, hook, source, payload);
            let context = format!("{decision:?} at {hook}, {mode:?}: {}", payload.escape_ascii());
            assert_eq!(accepts, decision.is_accepted() || mode == Mode::Observe, "{context}");
            let samples = taken(&mut records);
            assert_eq!(samples.len(), usize::from(!decision.is_accepted()), "{context}");
            for sample in samples {
                let packet = whole(hook, source, payload);
                assert_eq!(decisions[sample.decision as usize], decision, "{context}");
                assert_eq!(sample.len as usize, packet.len(), "{context}");
                assert_eq!(sample.begin(), &packet[..packet.len().min(SAMPLED_LEN)], "{context}");
                assert!((before..=now()).contains(&sample.when), "{context}");
                kinds.insert(discriminant(&decision));
            }
        }
        // No message, unwelcome, over the limit; and blocked where there are sources.
        assert_eq!(kinds.len(), 3 + usize::from(!block.is_empty()), "at {hook}");
        assert_eq!(lost(&program), 0);
    }
}

/// From a sample to the next.
const INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn are_no_more_than_the_rate() {
    let source = "192.0.2.1:1000".parse().expect("an address");
    for hook in hooks() {
        let guard = |rate: &str| {
            guard_of(&format!(
                "protocol = \"a2s\"\naccept = [\"info\"]\nsample = {{ dropped = \"{rate}\", to = \"x.pcapng\" }}"
            ))
        };
        let (program, mut records) = sampling(&guard("1/h"), hook);
        (0..100).for_each(|_| assert!(!is_accepted(&program, hook, source, b"x")));
        assert_eq!(taken(&mut records).len(), 1, "at {hook}");

        let (program, mut records) = sampling(&guard("10/s"), hook);
        let begin = now();
        let mut samples = Vec::new();
        for round in 1..=3 {
            (0..100).for_each(|_| assert!(!is_accepted(&program, hook, source, b"x")));
            samples.extend(taken(&mut records));
            assert!(samples.len() >= round, "none at {hook} after an interval without one");
            thread::sleep(INTERVAL);
        }
        let most = 1 + u128::from(now() - begin) / INTERVAL.as_nanos();
        assert!(samples.len() as u128 <= most, "{} at {hook}, at most {most}", samples.len());
        let gaps = samples.windows(2).map(|pair| u128::from(pair[1].when - pair[0].when));
        assert!(gaps.min().is_some_and(|least| least >= INTERVAL.as_nanos()), "at {hook}");
    }
}

pub(super) fn without_room_are_counted() {
    const PACKETS: u32 = 2000;
    let guard = guard_of(&format!("protocol = \"a2s\"\naccept = [\"info\"]\n{ALL}"));
    for hook in hooks() {
        let (program, mut records) = sampling(&guard, hook);
        let packet = seen(hook.layer(), "192.0.2.1:1000".parse().expect("an address"), b"x");
        program.test_run(&packet, PACKETS).expect("it runs");
        let kept = taken(&mut records).len();
        assert!((100..2000).contains(&kept), "{kept} at {hook}");
        assert_eq!(kept as u64 + lost(&program), PACKETS.into(), "at {hook}");
        program.test_run(&packet, 1).expect("it runs");
        assert_eq!(taken(&mut records).len(), 1, "there is room again at {hook}");
    }
}

pub(super) fn of_shipped_protocols() {
    for shipped in protocols::ALL {
        let mut guard = guard_of_protocol(shipped);
        guard.sample = guard_of(&format!("protocol = \"a2s\"\naccept = [\"info\"]\n{ALL}")).sample;
        for hook in hooks() {
            let (program, mut records) = sampling(&guard, hook);
            let source = "192.0.2.1:40000".parse().expect("an address");
            for vector in shipped.vectors() {
                is_accepted(&program, hook, source, &vector.payload);
                is_accepted(&program, hook, source, &vector.payload[..vector.payload.len() / 2]);
            }
            let counts: Map<_> = program.map(DECISIONS).expect("it has the map");
            let dropped = |(decision, _): &(Decision, u64)| !decision.is_accepted();
            let expected: u64 =
                counted(&counts, &guard).into_iter().filter(dropped).map(|(_, count)| count).sum();
            let samples = taken(&mut records);
            assert_eq!(samples.len() as u64 + lost(&program), expected, "{} at {hook}", shipped.name);
            assert!(!samples.is_empty(), "{} at {hook}", shipped.name);
        }
    }
}
