//! What leaves for the wire: each datagram of `frey` and `frigg`, byte for byte and in its order, against a plain
//! statement of what they send.

use std::{net::UdpSocket, ops::RangeInclusive, thread, time::Duration};

use nix::sys::socket::{setsockopt, sockopt};
use proptest::{prelude::*, test_runner::TestRunner};
use weir_service::{
    Io, Mix,
    client::{self, Behaviour, ClientConfig, GetPolicy, Percent, Workload},
};

use crate::harness::{BOTH, PATIENCE};

const PUT_10_1: &[u8] = b"PUT\x0a\0\0\0\x01\0\0\0\0\0\0\0";
const GET_10: &[u8] = b"GET\x0a\0\0\0";
const STOP: &[u8] = b"STOP";

fn bad_256() -> Vec<u8> {
    [&b"BAD"[..], &[0x42; 256]].concat()
}

/// A socket that nobody answers at, with room for more than is ever sent at a time.
struct Tap {
    socket: UdpSocket,
    bad: Vec<u8>,
}

/// Bytes, as the kernel accounts them: a datagram of 259 bytes counts as about 1 300.
const ROOM: usize = 1 << 30;

impl Tap {
    fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // Who may not have as much gets what there is: what is lost then fails the test, and says so.
        if setsockopt(&socket, sockopt::RcvBufForce, &ROOM).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &ROOM).unwrap();
        }
        Self { socket, bad: bad_256() }
    }

    /// The valid and invalid packets that `behaviour` sends, as runs of equal ones, and checks what comes after them.
    fn runs(&self, behaviour: &str, workload: Workload, io: Io, end: &[&[u8]]) -> Vec<(char, u64)> {
        let once = Duration::from_micros(1);
        let config = ClientConfig {
            io,
            get: GetPolicy { timeout: once, attempts: 1, silence: once },
            seed: Some(7),
            ..ClientConfig::new(self.socket.local_addr().unwrap())
        };
        let steps = behaviour.parse::<&Behaviour>().unwrap().steps(&workload);
        thread::scope(|scope| {
            scope.spawn(|| client::run(behaviour, &steps, &config, &mut |_| {}).unwrap());
            let mut runs = Vec::new();
            let mut buffer = [0; 300];
            let mut read = || {
                let len = self.socket.recv(&mut buffer).unwrap_or_else(|error| {
                    panic!("a datagram of {behaviour} {workload:?} {io:?} is missing: {error}")
                });
                buffer[..len].to_vec()
            };
            let mut after = loop {
                let kind = match read() {
                    datagram if datagram == PUT_10_1 => 'P',
                    datagram if datagram == self.bad => 'x',
                    datagram => break datagram,
                };
                match runs.last_mut() {
                    Some((last, count)) if *last == kind => *count += 1,
                    _ => runs.push((kind, 1)),
                }
            };
            for (i, expected) in end.iter().enumerate() {
                if i > 0 {
                    after = read();
                }
                assert_eq!(after, *expected, "{behaviour} {workload:?} {io:?}");
            }
            runs
        })
    }
}

fn workload(packets: u64, percent: u8) -> Workload {
    Workload { packets, invalid_share: Percent::new(percent).unwrap(), ..Workload::default() }
}

/// Valid and invalid packets, as the report says it: a share of all, rounded down, is invalid.
fn numbers(packets: u64, percent: u8) -> (u64, u64) {
    let invalid = (u128::from(packets) * u128::from(percent) / 100) as u64;
    (packets - invalid, invalid)
}

fn count(runs: &[(char, u64)], kind: char) -> u64 {
    runs.iter().filter(|(of, _)| *of == kind).map(|(_, count)| count).sum()
}

/// Whether numbers of packets differ by one at most.
fn are_even(counts: impl Iterator<Item = u64> + Clone) -> bool {
    counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0) <= 1
}

/// `frigg`: n ÷ 100 rounds, rounded down, at least one; in each the valid packets and then the invalid ones, as many as
/// in the others or one more; where 100 divides n, 100 − p and p of them.
fn check_frigg(tap: &Tap, packets: u64, percent: u8, io: Io) {
    let what = format!("{packets} packets, {percent} % invalid, {io:?}");
    let runs = tap.runs("frigg", workload(packets, percent), io, &[GET_10]);
    let (valid, invalid) = numbers(packets, percent);
    assert_eq!((count(&runs, 'P'), count(&runs, 'x')), (valid, invalid), "{what}");
    if valid == 0 || invalid == 0 {
        return;
    }
    let rounds = (packets / 100).max(1);
    assert_eq!(runs.len() as u64, 2 * rounds, "{what}");
    assert!(runs.iter().zip("Px".chars().cycle()).all(|((kind, _), expected)| *kind == expected), "{what}");
    let of = |kind| runs.iter().filter(move |(of, _)| *of == kind).map(|(_, count)| *count);
    assert!(are_even(of('P')) && are_even(of('x')), "{what}: {runs:?}");
    if packets.is_multiple_of(100) {
        let percent = u64::from(percent);
        assert!(of('P').all(|count| count == 100 - percent), "{what}: {runs:?}");
        assert!(of('x').all(|count| count == percent), "{what}: {runs:?}");
    }
}

/// `frey`: the valid packets, and then the invalid ones.
fn check_frey(tap: &Tap, packets: u64, percent: u8, io: Io) {
    let runs = tap.runs("frey", workload(packets, percent), io, &[GET_10, STOP]);
    let (valid, invalid) = numbers(packets, percent);
    let expected: Vec<_> = [('P', valid), ('x', invalid)].into_iter().filter(|run| run.1 > 0).collect();
    assert_eq!(runs, expected, "{packets} packets, {percent} % invalid, {io:?}");
}

const EVERY_PERCENT: RangeInclusive<u8> = 0..=100;

#[test]
fn every_share_of_numbers_that_it_does_not_divide_is_sent_exactly() {
    let tap = Tap::open();
    for packets in [1, 99, 101, 250] {
        for percent in EVERY_PERCENT {
            for io in BOTH {
                check_frigg(&tap, packets, percent, io);
                check_frey(&tap, packets, percent, io);
            }
        }
    }
}

#[test]
fn rounds_are_right_below_at_and_beside_multiples_of_a_hundred() {
    let tap = Tap::open();
    for packets in [2, 50, 100, 150, 199, 200, 201, 999, 1000, 1001, 9_999, 10_000, 10_001, 99_999, 100_000] {
        for percent in [0, 1, 33, 50, 67, 99, 100] {
            for io in BOTH {
                check_frigg(&tap, packets, percent, io);
            }
        }
    }
}

#[test]
fn a_million_packets_make_ten_thousand_rounds() {
    let tap = Tap::open();
    for (packets, percent, io) in [
        (1_000_000, 50, Io::Batch),
        (1_000_000, 99, Io::Simple),
        (999_999, 1, Io::Batch),
        (999_901, 33, Io::Simple),
    ] {
        check_frigg(&tap, packets, percent, io);
    }
}

#[test]
fn any_number_and_share_is_sent_exactly() {
    let tap = Tap::open();
    let io = prop_oneof![Just(Io::Batch), Just(Io::Simple)];
    TestRunner::new(ProptestConfig::with_cases(100))
        .run(&(1..20_000_u64, EVERY_PERCENT, io), |(packets, percent, io)| {
            check_frigg(&tap, packets, percent, io);
            check_frey(&tap, packets, percent, io);
            Ok(())
        })
        .unwrap();
}

/// A mix changes the order and nothing else.
#[test]
fn the_order_is_the_one_asked_for() {
    let tap = Tap::open();
    let runs = |mix: &str, io| {
        let mix: Option<Mix> = Some(mix.parse().unwrap());
        tap.runs("frigg", Workload { mix, ..workload(1000, 50) }, io, &[GET_10])
    };
    for io in BOTH {
        assert_eq!(runs("blocks", io), [('P', 500), ('x', 500)]);
        assert_eq!(runs("rounds:10", io), [('P', 5), ('x', 5)].repeat(100));
        assert_eq!(runs("even", io), [('P', 1), ('x', 1)].repeat(500));
        let random = runs("random", io);
        assert_eq!((count(&random, 'P'), count(&random, 'x')), (500, 500));
        assert_eq!(random, runs("random", io), "the seed decides");
        // About half of all neighbours differ, and some runs are long.
        assert!((400..600).contains(&random.len()), "{}", random.len());
        assert!(random.iter().any(|(_, count)| *count > 3));
    }
}
