//! Lists of prefixes are searched as the interpreter looks them up, while they change.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    process::Command,
};

use ipnet::IpNet;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use weir_filters::Hook;
use weir_guard::meaning::{Decision, LimitId, Memory, MessageId, Packet, PrefixList, Senders, Service};
use weir_hooks::{AnyProgram, AttachPoint, in_own_network};
use weir_testing::received;

use super::{guard_of, hooks, is_accepted, loaded};
use crate::pair;

/// Accepts from a list, and from another one only once an hour.
const GUARD: &str = r#"
protocol = "a2s"
accept = [{ message = "info", from = "192.0.2.1" }]
allow = ["192.0.2.1"]
limit = [{ per = "all", rate = "1/h", from = "192.0.2.2" }]
"#;

/// Of both versions.
const DUAL: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 53);

/// The first message of that protocol.
const INFO_ID: MessageId = MessageId(0);

/// So often the lists change while a program runs: each half of the map is written several times.
const CHANGES: usize = 6;

/// Makes a list of each of the service's, all of about that many prefixes.
fn change(rng: &mut StdRng, service: &mut Service, most: usize) {
    let mut list = || -> PrefixList { (0..rng.random_range(0..=most)).map(|_| prefix(rng)).collect() };
    service.allow = list();
    service.block = list();
    service.accept[0].from = Senders::Listed(list());
    service.limits[0].from = Senders::Listed(list());
}

/// Bytes of which there are few, so that prefixes meet, lie side by side, and reach to the ends of all addresses.
fn prefix(rng: &mut StdRng) -> IpNet {
    let bytes: [u8; 16] =
        std::array::from_fn(|_| *[0, 1, 2, 127, 128, 254, 255].choose(rng).expect("there are some"));
    let net = if rng.random_bool(0.5) {
        let [a, b, c, d, ..] = bytes;
        IpNet::new(Ipv4Addr::new(a, b, c, d).into(), rng.random_range(4..=32))
    } else {
        IpNet::new(Ipv6Addr::from(bytes).into(), *[4, 16, 63, 64, 65, 127, 128].choose(rng).expect("some"))
    };
    net.expect("it is not too long").trunc()
}

/// The addresses at a prefix's ends, and beside them.
fn edges(prefix: IpNet) -> [IpAddr; 4] {
    let beside = |address, up: bool| match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            IpAddr::from(Ipv4Addr::from_bits(if up { bits.wrapping_add(1) } else { bits.wrapping_sub(1) }))
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            IpAddr::from(Ipv6Addr::from_bits(if up { bits.wrapping_add(1) } else { bits.wrapping_sub(1) }))
        }
    };
    let (first, last) = (prefix.network(), prefix.broadcast());
    [beside(first, false), first, last, beside(last, true)]
}

/// Sources at the edges of all lists, and in IPv6's clothes.
fn sources(rng: &mut StdRng, service: &Service, count: usize) -> Vec<IpAddr> {
    let senders = [&service.accept[0].from, &service.limits[0].from];
    let listed = senders.into_iter().filter_map(|senders| match senders {
        Senders::Listed(list) => Some(list),
        _ => None,
    });
    let lists = [&service.allow, &service.block].into_iter().chain(listed);
    let prefixes: Vec<_> = lists.flat_map(|list| list.prefixes()).copied().collect();
    let mut sources = vec![IpAddr::from(Ipv4Addr::BROADCAST), Ipv6Addr::from_bits(u128::MAX).into()];
    while sources.len() < count {
        let prefix = prefixes.choose(rng).copied().unwrap_or_else(|| prefix(rng));
        let edges = edges(prefix);
        let mapped = edges.into_iter().filter_map(|edge| match edge {
            IpAddr::V4(address) => Some(IpAddr::from(address.to_ipv6_mapped())),
            IpAddr::V6(_) => None,
        });
        sources.extend(edges.into_iter().chain(mapped));
    }
    sources
}

pub(super) fn change_while_searched() {
    let mut rng = StdRng::seed_from_u64(9);
    let mut decided = HashSet::new();
    // Trees of one node, of a few, and of nearly all that a small map has room for.
    for most in [1, 20, 900] {
        for hook in hooks().filter(|hook| *hook != Hook::Socket) {
            let mut service = guard_of(GUARD);
            let mut program = loaded(&service, hook, DUAL).expect("it is loaded");
            let allowed = "192.0.2.1:1000".parse().expect("an address");
            assert!(
                !is_accepted(&program, hook, allowed, INFO),
                "{hook}: no list is there, and nobody passes"
            );
            let mut memory = Memory::default();
            for number in 0..CHANGES {
                change(&mut rng, &mut service, most);
                program.set_lists(&service).expect("there is room");
                for source in sources(&mut rng, &service, 300) {
                    let source = SocketAddr::new(source, 1000);
                    let decision = service.decide(&Packet::whole(source, INFO), &mut memory, 0);
                    decided.insert(decision);
                    assert_eq!(
                        is_accepted(&program, hook, source, INFO),
                        decision.is_accepted(),
                        "{source} after {number} changes to lists of up to {most} at {hook}: {decision:?}"
                    );
                }
            }
        }
    }
    let never =
        [Decision::Allowed, Decision::Blocked, Decision::Accepted(INFO_ID), Decision::Unwelcome(INFO_ID)];
    let never = never.into_iter().chain([Decision::OverLimit(INFO_ID, LimitId(0))]);
    assert_eq!(never.filter(|decision| !decided.contains(decision)).collect::<Vec<_>>(), []);
}

/// Where every address is the machine's, so that packets come from each.
pub(super) fn searched_at_a_socket() {
    let done = in_own_network(|| {
        for version in ["-4", "-6"] {
            let route = ["route", "add", "local", "default", "dev", "lo"];
            let added = Command::new("ip").arg(version).args(route).status().expect("ip is there");
            assert!(added.success(), "{version}: {added}");
        }
        let ((receiver, _), (unguarded, _)) = (pair("[::]:0"), pair("[::]:0"));
        let port = |socket: &UdpSocket| socket.local_addr().expect("it is bound").port();
        let (port, unguarded_port) = (port(&receiver), port(&unguarded));
        let mut rng = StdRng::seed_from_u64(10);
        let mut service = guard_of(GUARD);
        change(&mut rng, &mut service, 20);
        let mut program = loaded(&service, Hook::Socket, DUAL).expect("it is loaded");
        program.set_lists(&service).expect("there is room");
        let _attached = program.attach(AttachPoint::Socket(receiver.as_fd())).expect("it is attached");
        let (mut memory, mut passed, mut dropped) = (Memory::default(), 0, 0);
        for source in sources(&mut rng, &service, 1000) {
            if source.is_multicast() || source == Ipv4Addr::BROADCAST {
                // Whose socket is bound to that sends from another.
                continue;
            }
            let Ok(sender) = UdpSocket::bind((source, 0)) else { continue };
            let to: IpAddr = match source.to_canonical() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            };
            let from = sender.local_addr().expect("it is bound");
            let _ = sender.send_to(INFO, (to, unguarded_port));
            if received(&unguarded).is_empty() {
                // A source that the kernel takes nothing from.
                continue;
            }
            sender.send_to(INFO, (to, port)).expect("it was sent before");
            let decision = service.decide(&Packet::whole(from, INFO), &mut memory, 0);
            let arrived = received(&receiver).len();
            assert_eq!(arrived, usize::from(decision.is_accepted()), "{from}: {decision:?}");
            *if decision.is_accepted() { &mut passed } else { &mut dropped } += 1;
        }
        assert!(passed > 100 && dropped > 100, "{passed} passed, {dropped} dropped");
    });
    done.expect("a namespace can be made");
}

/// An IPv6 address with another value of a bit.
fn flipped(address: IpAddr, bit: u32) -> IpAddr {
    let IpAddr::V6(address) = address else { unreachable!("they are IPv6's") };
    Ipv6Addr::from_bits(address.to_bits() ^ (1 << bit)).into()
}

/// Beside each other in bits that no table chooses by: trees that are as large as there is room for, and those below them.
pub(super) fn deep() {
    let mut service = guard_of(GUARD);
    let mut program = loaded(&service, Hook::Cgroup, DUAL).expect("it is loaded");
    let apart = |shift: u8| {
        (0..640_u128).map(move |number| {
            let bits = (0x2001_0db8 << 96) | ((2 * number + 1) << shift);
            IpNet::new(Ipv6Addr::from_bits(bits).into(), 128 - shift).expect("it is not too long")
        })
    };
    service.allow = [0, 48].into_iter().flat_map(apart).collect();
    program.set_lists(&service).expect("there is room");
    let edges = service.allow.prefixes().iter().step_by(7).flat_map(|prefix| edges(*prefix));
    // And behind all that trees below trees are for.
    for source in edges.flat_map(|edge| [edge, flipped(edge, 40)]) {
        let is_allowed = service.allow.contains(source);
        assert_eq!(
            is_accepted(&program, Hook::Cgroup, SocketAddr::new(source, 1000), INFO),
            is_allowed,
            "{source}"
        );
    }
}

pub(super) fn outgrown() {
    let mut service = guard_of(GUARD);
    let mut program = loaded(&service, Hook::Cgroup, DUAL).expect("it is loaded");
    let accepts = |program: &AnyProgram, source: [u8; 4]| {
        is_accepted(program, Hook::Cgroup, SocketAddr::new(source.into(), 1000), INFO)
    };
    program.set_lists(&service).expect("there is room");
    assert!(accepts(&program, [192, 0, 2, 1]) && !accepts(&program, [10, 0, 0, 1]));
    // Every second address, none of which join.
    let allowed = (0..10_000)
        .map(|number| IpNet::from(IpAddr::from(Ipv4Addr::from_bits((10 << 24) | (2 * number) | 1))));
    service.allow = allowed.collect();
    let refused = program.set_lists(&service).expect_err("there is no room").to_string();
    assert!(refused.contains("load the guard anew"), "{refused}");
    assert!(accepts(&program, [192, 0, 2, 1]) && !accepts(&program, [10, 0, 0, 1]), "nothing has changed");
    let mut program = loaded(&service, Hook::Cgroup, DUAL).expect("it is loaded");
    program.set_lists(&service).expect("there is room");
    for number in (0..21_000_u32).step_by(37) {
        let [_, b, c, d] = number.to_be_bytes();
        let is_allowed = service.allow.contains([10, b, c, d].into());
        assert_eq!(accepts(&program, [10, b, c, d]), is_allowed, "10.{b}.{c}.{d}");
    }

    let none = guard_of("protocol = \"a2s\"\naccept = [\"info\"]");
    let mut program = loaded(&none, Hook::Cgroup, DUAL).expect("it is loaded");
    program.set_lists(&none).expect("there are none");
    program.set_lists(&service).expect_err("it has no map for them");
}

/// What A2S clients send (`A2S_INFO`).
const INFO: &[u8] = b"\xff\xff\xff\xffTSource Engine Query\0";
