//! The pick of a worker among the sockets of a port, by a request's key.

use std::{net::UdpSocket, os::fd::AsFd as _, thread, time::Duration};

use weir_filters::{Filter, FilterName, Hook, Site, SuperPackets, Toolkit};
use weir_hooks::{Attached, KernelFilter, Target, gso_layout, loadable};
use weir_testing::send;
use weir_wire::{Request, worker_of};

use super::{
    setting::{lo_without_super_packets, own_namespace},
    shared_port::receiver,
};
use crate::{Test, each, no_gso};

pub(super) const TESTS: &[Test] = &[
    each("a_request_goes_to_the_worker_of_its_key", a_request_goes_to_the_worker_of_its_key),
    each("what_has_no_key_goes_to_some_worker", what_has_no_key_goes_to_some_worker),
    each("a_worker_without_a_socket_is_stood_in_for", a_worker_without_a_socket_is_stood_in_for),
];

/// How often, and how long after each other, sockets are looked at for a packet that came to none.
const LOOKS: usize = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Sockets behind one port, the program that picks among them, and a sender.
struct Port {
    workers: Vec<UdpSocket>,
    sender: UdpSocket,
    filter: KernelFilter,
    _attached: Attached,
}

impl Port {
    fn open(
        address: &str,
        workers: usize,
        (filter, toolkit): (Filter, Toolkit),
        site: impl FnOnce(Site) -> Site,
    ) -> Self {
        let first = receiver(address.parse().expect("an address"));
        let reached = first.local_addr().expect("it is bound");
        let workers: Vec<_> = std::iter::once(first).chain((1..workers).map(|_| receiver(reached))).collect();
        let site = site(Site { workers: workers.len() as u32, ..Site::new(Hook::Reuseport, reached) });
        let filter = KernelFilter::load(filter, toolkit, &site);
        let filter = filter.unwrap_or_else(|error| panic!("{toolkit}: {error}"));
        assert!(filter.picks_workers());
        let attached = filter.attach(Target::Reuseport(workers[0].as_fd()));
        let attached = attached.unwrap_or_else(|error| panic!("{error}"));
        let sender = UdpSocket::bind(address).expect("a free port");
        sender.connect(reached).expect("UDP connects at once");
        Self { workers, sender, filter, _attached: attached }
    }

    fn seat(&self) {
        self.filter.seat(&self.workers).expect("they are bound to the port");
    }

    /// Sends it, and says who got it: over loopback it has come by then, but where the kernel's own thread (ksoftirqd) is
    /// at packets.
    fn reached_by(&self, payload: &[u8]) -> Vec<usize> {
        send(&self.sender, payload);
        let mut buffer = [0; 64];
        let mut got = |worker: &UdpSocket| {
            worker.set_nonblocking(true).expect("a socket can be non-blocking");
            worker.recv(&mut buffer).is_ok_and(|len| buffer[..len] == *payload)
        };
        for _ in 0..LOOKS {
            let all = self.workers.iter().enumerate();
            let reached: Vec<_> = all.filter_map(|(number, worker)| got(worker).then_some(number)).collect();
            if !reached.is_empty() {
                return reached;
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        Vec::new()
    }
}

/// Small ones, some whose first byte is a letter or a digit, and the ends of the range.
fn keys() -> impl Iterator<Item = u32> {
    (0..200).chain([0x4142_4344, u32::MAX, u32::MAX - 1, 1 << 31]).chain((8..32).map(|bit| 1 << bit))
}

fn requests(key: u32) -> [Request; 3] {
    [Request::Put { key, value: -1 }, Request::Get { key }, Request::Delete { key }]
}

fn a_request_goes_to_the_worker_of_its_key(toolkit: Toolkit) {
    let tells = |site| Site { gso: Some(gso_layout(Hook::Reuseport).expect("this kernel's types")), ..site };
    let passes = |site| Site { super_packets: SuperPackets::Pass, ..site };
    for filter in [
        "simple-socket-filter",
        "valid-command",
        "robust-valid-command",
        "print-filter",
        "blocklist+quota+known-key",
    ] {
        let filter: Filter = filter.parse().expect("a filter");
        if loadable(filter, toolkit, Hook::Reuseport).is_err() {
            continue;
        }
        let filter = Filter { quota: "1000000/1000000".parse().expect("a quota"), ..filter };
        for (address, workers) in [("127.0.0.1:0", 3), ("[::1]:0", 2), ("127.0.0.1:0", 64)] {
            own_namespace(move || {
                check(&Port::open(address, workers, (filter, toolkit), passes));
                if toolkit == Toolkit::Fun && no_gso().is_none() {
                    check(&Port::open(address, workers, (filter, toolkit), tells));
                }
            });
        }
    }
}

fn check(port: &Port) {
    port.seat();
    for key in keys() {
        for request in requests(key) {
            let expected = worker_of(key, port.workers.len() as u32) as usize;
            assert_eq!(port.reached_by(&request.to_bytes()), [expected], "{request:?}");
        }
    }
}

fn what_has_no_key_goes_to_some_worker(toolkit: Toolkit) {
    if loadable(FilterName::Simple.into(), toolkit, Hook::Reuseport).is_err() {
        return;
    }
    own_namespace(move || {
        lo_without_super_packets();
        let port = Port::open("127.0.0.1:0", 3, (FilterName::Simple.into(), toolkit), |site| site);
        port.seat();
        let get = Request::Get { key: 7 }.to_bytes();
        let cut = (0..get.len()).map(|len| get[..len].to_vec());
        let others = [&b"STOP"[..], b"PUT", b"PUT123", b"DELETE123", b"DELELULU1234", b"GEt1234", b"B"];
        for payload in cut.chain(others.map(<[u8]>::to_vec)) {
            let who = port.reached_by(&payload);
            assert_eq!(who.len(), 1, "{payload:02x?}: {who:?}");
        }
        let refused = Port::open("127.0.0.1:0", 3, (FilterName::ValidCommand.into(), toolkit), |site| site);
        refused.seat();
        assert_eq!(refused.reached_by(b"BAD1234"), [0; 0]);
        assert_eq!(refused.reached_by(b"STOP").len(), 1);
    });
}

fn a_worker_without_a_socket_is_stood_in_for(toolkit: Toolkit) {
    if loadable(FilterName::ValidCommand.into(), toolkit, Hook::Reuseport).is_err() {
        return;
    }
    own_namespace(move || {
        lo_without_super_packets();
        let mut port = Port::open("127.0.0.1:0", 2, (FilterName::ValidCommand.into(), toolkit), |site| site);
        let mine = |worker| keys().find(|key| worker_of(*key, 2) == worker).expect("a share of keys");
        let get = |worker| Request::Get { key: mine(worker) }.to_bytes();
        let who = [0, 1].map(|worker| port.reached_by(&get(worker)));
        assert!(who[0] == who[1] && who[0].len() == 1, "by the hash of one sender: {who:?}");
        port.seat();
        assert_eq!([0, 1].map(|worker| port.reached_by(&get(worker))), [[0], [1]]);
        drop(port.workers.pop());
        assert_eq!([0, 1].map(|worker| port.reached_by(&get(worker))), [[0], [0]]);

        let stranger = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let error = port.filter.seat([&stranger]).expect_err("it shares no port").to_string();
        assert!(error.contains("workers"), "{error}");
    });
}
