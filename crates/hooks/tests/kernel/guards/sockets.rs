//! Guards on real sockets, where packets have sources too: what the interpreter accepts is delivered, and nothing else.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::LazyLock,
};

use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use socket2::{Domain, Socket, Type};
use weir_asm::Endian;
use weir_filters::{FilterName, Hook, fun::service};
use weir_guard::{
    meaning::{Decision, Memory, Mode, Packet, Service},
    protocols,
};
use weir_hooks::{KernelFilter, Obstacle};
use weir_testing::{received, scaled, send};

use super::{
    counted, cuts, guard_of_protocol,
    random::{self, Kinds},
    site,
};
use crate::places::{Setting, lo_without_super_packets, own_namespace};

const HOOKS: [Hook; 2] = [Hook::Socket, Hook::Reuseport];
const LISTENS: [&str; 2] = ["0.0.0.0:0", "[::]:0"];

/// Datagrams for each guard at each hook.
const DATAGRAMS: usize = 500;

/// As many fit a receive buffer, whatever is in them.
const AT_ONCE: usize = 50;

pub(super) fn random_guards() {
    LazyLock::force(&OPTION_MEMORY);
    in_order(|| {
        let mut counts = [0; 2];
        let mut attached = 0;
        for (seed, hook) in (0..scaled(200) as u64).flat_map(|seed| HOOKS.map(|hook| (seed, hook))) {
            let mut rng = StdRng::seed_from_u64(seed);
            let setting = Setting::new(hook, LISTENS[usize::from(rng.random_bool(0.5))]);
            let listen = setting.receiver.local_addr().expect("it is bound");
            let guard = random::service(&mut rng, listen, Kinds::All);
            let datagrams = random_datagrams(&mut rng, &guard, listen);
            let what = format!("guard {seed}");
            attached += usize::from(check(&guard, hook, &setting, &datagrams, &mut counts, &what));
        }
        assert_both(counts);
        assert!(attached > scaled(200), "{attached} guards are short enough for a socket");
    });
}

pub(super) fn shipped_protocols() {
    LazyLock::force(&OPTION_MEMORY);
    in_order(|| {
        let mut attached = 0;
        for (shipped, hook) in protocols::ALL.iter().flat_map(|shipped| HOOKS.map(|hook| (shipped, hook))) {
            let guard = guard_of_protocol(shipped);
            let source = "192.0.2.1:40000".parse().expect("an address");
            let vectors: Vec<_> = shipped.vectors().collect();
            let payloads = vectors.iter().flat_map(|vector| cuts(&vector.payload));
            let datagrams: Vec<_> = payloads.map(|payload| (source, payload.to_vec())).collect();
            let setting = Setting::new(hook, LISTENS[1]);
            attached += usize::from(check(&guard, hook, &setting, &datagrams, &mut [0; 2], shipped.name));
        }
        assert!(attached > protocols::ALL.len(), "{attached} protocols are short enough for a socket");
    });
}

/// A datagram, and where it comes from.
pub(super) type Sent = (SocketAddr, Vec<u8>);

pub(super) fn random_datagrams(rng: &mut StdRng, guard: &Service, listen: SocketAddr) -> Vec<Sent> {
    let one = |_| {
        let is_v4 = listen.is_ipv4() || rng.random_bool(0.5);
        (random::source(rng, is_v4), random::payload(rng, &guard.protocol))
    };
    (0..DATAGRAMS).map(one).collect()
}

/// Of these, so many were dropped and accepted.
pub(super) fn assert_both([dropped, accepted]: [u64; 2]) {
    assert!(dropped > accepted / 10 && accepted > dropped / 100, "{dropped} dropped, {accepted} accepted");
}

/// Whether the program is short enough for the socket.
fn check(
    guard: &Service,
    hook: Hook,
    setting: &Setting,
    datagrams: &[Sent],
    counts: &mut [u64; 2],
    what: &str,
) -> bool {
    let site = site(hook, setting.receiver.local_addr().expect("it is bound"));
    let object = service::service_object(guard, &site).unwrap_or_else(|error| panic!("{what}: {error}"));
    let elf = object.to_elf(Endian::NATIVE).expect("it is an object");
    let mut kernel = KernelFilter::load_from(FilterName::Simple.into(), &elf, service::GUARD, &site)
        .unwrap_or_else(|error| panic!("{what} at {hook}: {error}\n{guard:#?}"));
    kernel.set_lists(guard).expect("there is room");
    let _attached = match setting.try_attach(&kernel) {
        Ok(attached) => attached,
        Err(error) if error.obstacle() == Some(Obstacle::OptionMemory) => {
            // Besides the instructions the kernel keeps some hundred bytes.
            let taken = kernel.facts().expect("it is loaded").translated_bytes.expect("root is told");
            assert!(hook == Hook::Socket && taken + 1024 > *OPTION_MEMORY, "{what}: {taken} bytes: {error}");
            return false;
        }
        Err(error) => panic!("{what} at {hook}: {error}"),
    };
    let decided = deliver(guard, &setting.receiver, datagrams, counts, &format!("{what} at {hook}"));
    let decisions = kernel.map(service::DECISIONS).expect("it has the map");
    assert_eq!(counted(&decisions, guard), decided, "{what} at {hook}");
    true
}

/// Bytes that a socket may spend on its program. Older kernels say it in the first network namespace alone.
static OPTION_MEMORY: LazyLock<u32> = LazyLock::new(|| {
    let text = fs::read_to_string("/proc/sys/net/core/optmem_max").expect("every kernel says it");
    text.trim().parse().expect("a number")
});

/// Sends the datagrams, of which the receiver gets those that the interpreter accepts. Counts what is dropped and accepted, and
/// gives how many are decided how.
pub(super) fn deliver(
    guard: &Service,
    receiver: &UdpSocket,
    datagrams: &[Sent],
    counts: &mut [u64; 2],
    what: &str,
) -> Vec<(Decision, u64)> {
    receiver.set_nonblocking(true).expect("a socket can be non-blocking");
    let port = receiver.local_addr().expect("it is bound").port();
    let mut senders = HashMap::new();
    let mut memory = Memory::default();
    let mut decided: Vec<_> = guard.decisions().into_iter().map(|decision| (decision, 0)).collect();
    for datagrams in datagrams.chunks(AT_ONCE) {
        let mut expected = Vec::new();
        // The receiver has its port for itself.
        for (source, payload) in datagrams.iter().filter(|(source, _)| source.port() != port) {
            let decision = guard.decide(&Packet::whole(*source, payload), &mut memory, 0);
            decided.iter_mut().filter(|(each, _)| *each == decision).for_each(|(_, count)| *count += 1);
            let is_accepted = decision.is_accepted() || guard.mode == Mode::Observe;
            counts[usize::from(is_accepted)] += 1;
            if is_accepted {
                expected.push(payload.clone());
            }
            let source = SocketAddr::new(source.ip().to_canonical(), source.port());
            send(senders.entry(source).or_insert_with(|| sender(source, port)), payload);
        }
        assert_eq!(received(receiver), expected, "{what} of {datagrams:02x?}\n{guard:#?}");
    }
    decided
}

/// A socket of any address, this machine's or not, whose datagrams go to a port of this machine.
fn sender(source: SocketAddr, port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(source), Type::DGRAM, None).expect("a socket");
    let (is_set, to): (_, IpAddr) = match source {
        SocketAddr::V4(_) => (socket.set_ip_transparent_v4(true), Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(_) => (socket.set_ip_transparent_v6(true), Ipv6Addr::LOCALHOST.into()),
    };
    is_set.expect("root may");
    // One that is closed lives on for a moment in a process that another test forks.
    socket.set_reuse_address(true).expect("a socket may share its address");
    socket.bind(&source.into()).expect("a free port");
    socket.connect(&SocketAddr::new(to, port).into()).expect("UDP connects at once");
    socket.into()
}

/// Does it in a network of its own, on one CPU: datagrams come in the order in which they are sent.
pub(super) fn in_order(run: impl FnOnce() + Send + 'static) {
    own_namespace(|| {
        lo_without_super_packets();
        let mut only = CpuSet::new();
        only.set(sched_getcpu().expect("it is known")).expect("in range");
        sched_setaffinity(Pid::from_raw(0), &only).expect("it is allowed");
        run();
    });
}
