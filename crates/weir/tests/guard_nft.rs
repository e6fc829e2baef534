//! `weir guard export nft`: its rules in the real nft, in a network namespace of their own, and real datagrams, each delivered and
//! counted exactly as the interpreter decides.
//!
//! Where nft or the privilege is missing they count as ignored, with the reason in brackets.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use weir_guard::{
    meaning::{Party, Service},
    nft, protocols,
    text::{self, Files, NamedText, Unavailable},
};
use weir_hooks::in_own_network;
use weir_testing::{Ended, Group, Test, received, send};
use weir_verify::nftables::{RulesetDisagreement, ServiceDatagram, compare, compare_changed, paced};

const WITH_NFT: &[Test] = &[
    ("datagrams_are_delivered_and_counted_exactly_as_the_interpreter_decides", decided_as_interpreted),
    ("shipped_protocols_are_decided_so_too", shipped_protocols),
    ("a_ruleset_that_is_a_little_wrong_is_noticed", faults_are_noticed),
    ("limits_let_as_many_through_as_the_interpreter", limits_hold),
    ("a_limit_in_time_lets_through_as_many_within_its_tolerance", limits_in_time),
    ("who_the_service_answers_is_known", answered_sources),
    ("who_there_is_no_room_for_stays_unknown", no_room_to_be_known),
    ("nobody_is_known_for_longer_than_the_guard_says", known_for_a_while),
    ("sources_that_a_limit_has_no_room_for_are_dropped_and_counted", no_room),
    ("a_guard_that_observes_counts_and_drops_nothing", observing_drops_nothing),
    ("fragments_of_ipv6_are_what_the_guard_says", fragments),
    ("datagrams_without_a_length_are_unreadable", without_length),
    ("other_ports_addresses_and_tcp_go_by", others_go_by),
];

fn main() {
    weir_testing::run([Group::of(WITH_NFT).skipped_for(lack())]);
}

/// What the machine lacks for rules in a namespace.
fn lack() -> Option<String> {
    let listed = in_own_network(|| run_nft(&["list", "tables"], ""));
    match listed {
        Err(error) => Some(format!("a network namespace: {error}")),
        Ok(Err(error)) => Some(format!("nft: {error}")),
        Ok(Ok(listed)) => (listed.status != Some(0)).then(|| format!("nft: {}", listed.stderr.trim())),
    }
}

/// Runs nft(8), whose folder isn't in everybody's PATH.
fn run_nft(arguments: &[&str], input: &str) -> std::io::Result<Ended> {
    const USUAL: &str = "/usr/sbin/nft";
    let mut child = Command::new(if Path::new(USUAL).exists() { USUAL } else { "nft" })
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().expect("it is piped"), input.as_bytes())?;
    Ok(child.wait_with_output()?.into())
}

const PORT: u16 = 4242;

/// A protocol with what nft can say of fields.
const MADE_UP: &str = r#"name = "made-up"
source = "made up"
[fields]
first  = "u8 @ 0"
word   = "u16 @ 1"
little = "u16 le @ 1"
bits   = "u16[3..=6] @ 1"
verb   = "bytes 4 @ 0"
long   = "bytes 11 @ 2"
wide   = "u64 @ 3"
next   = "u8 @ end(word)"
[[message]]
name = "verb"
when = "lower(verb) in {'get ', 'p-t '}"
[[message]]
name = "long"
when = "long == 'hello world' or first == 7 and long != 'hello worle'"
[[message]]
name = "masked"
when = "word & 0xf0f0 == 0x1010 and len & 3 == 0 or bits in 5..=6 and not (first == 1 or len > 6)"
[[message]]
name = "hidden"
when = "first in {2, 4..=5} and next != 2"
[[message]]
name = "little"
when = "little in {0x0201, 0x0102..=0x0104} and not first in {2, 4}"
[[message]]
name = "wide"
when = "wide >= 0x0200000000000000 and wide < 0x0300000000000001 and source_port != 7"
[[message]]
name = "short"
length = "0..=1"
when = "len == 0 or first > 0xfe"
"#;

/// Packets that its messages are, or nearly.
const MADE_UP_PAYLOADS: &[&[u8]] = &[
    b"GeT x",
    b"p-T ",
    b"\x07_hello world",
    b"\x07_hello worle",
    b"\x09\x1a\x1f\x00",
    b"\x00\x00\x28",
    b"\x02\x01\x02\x03",
    b"\x03\x01\x02",
    b"\x03\x04\x01",
    b"\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
    b"\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00",
    b"\xff",
    b"",
];

/// Guards but for their port, and payloads that their messages are.
const GUARDS: &[(&str, &[&[u8]])] = &[
    (
        "protocol = 'bag'\nblock = ['198.51.100.0/25', '2001:db8:bad::/48']\nallow = ['192.0.2.0/24', 'fe80::/10']\n\
         accept = ['get', { message = 'put', when = 'len == 15' },\n\
         { message = 'delete', from = ['203.0.113.2/31', '203.0.113.3', '::1'] },\n\
         { message = 'stop', from = '203.0.113.2/31', when = 'source_port != 4000' }]",
        &[b"PUT567890123456", b"GET", b"DELETE", b"STOP"],
    ),
    (
        "protocol = './made-up.toml'\naccept = ['verb', 'long', 'masked', 'little', 'wide', 'short']",
        MADE_UP_PAYLOADS,
    ),
    ("protocol = 'bag'\naccept = []\nallow = ['0.0.0.0/0']", &[b"GET"]),
    (
        "listen = 'udp/192.0.2.1:4242'\nat = 'tc'\ninterfaces = ['eth0']\nprotocol = 'bag'\naccept = ['get']",
        &[b"GET", b"PUT"],
    ),
    ("listen = 'udp/[2001:db8::1]:4242'\nprotocol = 'bag'\naccept = ['get']", &[b"GET", b"PUT"]),
];

/// Senders in, at the ends of, and just outside of the lists of [`GUARDS`].
const SOURCES: &[&str] = &[
    "127.0.0.1:4000",
    "192.0.1.255:4000",
    "192.0.2.0:4000",
    "192.0.2.255:4000",
    "192.0.3.0:4000",
    "198.51.99.255:4000",
    "198.51.100.0:4000",
    "198.51.100.127:7",
    "198.51.100.128:4000",
    "203.0.113.1:4000",
    "203.0.113.2:4000",
    "203.0.113.3:4001",
    "203.0.113.4:4000",
    "[::1]:4000",
    "[2001:db8:bac:ffff::1]:4000",
    "[2001:db8:bad::]:4000",
    "[2001:db8:bad:ffff:ffff:ffff:ffff:ffff]:4000",
    "[2001:db8:bae::]:4000",
    "[fe7f:ffff::1]:4000",
    "[fe80::1]:4000",
    "[febf:ffff::1]:4000",
    "[fec0::1]:4000",
];

fn addresses(sources: &[&str]) -> Vec<SocketAddr> {
    sources.iter().map(|source| source.parse().expect(source)).collect()
}

fn datagram(by: Party, source: SocketAddr, payload: &[u8]) -> ServiceDatagram {
    ServiceDatagram { by, source, payload: payload.to_vec(), behind: Vec::new() }
}

/// What differs from a payload a little: cut short, with and without the rest behind UDP's length; longer; with bits of one byte
/// turned over.
fn near(source: SocketAddr, payload: &[u8]) -> Vec<ServiceDatagram> {
    // A long payload's end is filling.
    const FIRST: usize = 48;
    let sent = |payload: &[u8], behind: &[u8]| ServiceDatagram {
        by: Party::Client,
        source,
        payload: payload.to_vec(),
        behind: behind.to_vec(),
    };
    let mut all = vec![sent(payload, b""), sent(&[payload, b"\0"].concat(), b"")];
    for len in (0..payload.len()).filter(|len| *len < FIRST || len + 2 > payload.len()) {
        all.push(sent(&payload[..len], b""));
        all.push(sent(&payload[..len], &payload[len..]));
    }
    for at in 0..payload.len().min(FIRST) {
        for bits in [0x01, 0x02, 0x20, 0x80] {
            let mut other = payload.to_vec();
            other[at] ^= bits;
            all.push(sent(&other, b""));
        }
    }
    all
}

/// Sends what is near payloads from all sources, a batch for each.
#[track_caller]
fn check(service: &Service, sources: &[SocketAddr], payloads: &[&[u8]]) {
    let batch = |source: &SocketAddr| payloads.iter().flat_map(|payload| near(*source, payload)).collect();
    let compared = compare(service, sources.iter().map(batch).collect()).expect("nft runs");
    assert_eq!(
        compared.shown,
        None,
        "{}",
        compared.shown.iter().map(ToString::to_string).collect::<String>()
    );
    assert!(compared.delivered > 0 && compared.delivered < compared.sent, "{compared:?}");
}

fn decided_as_interpreted() {
    for (rest, payloads) in GUARDS {
        check(&enforcing(rest), &addresses(SOURCES), payloads);
    }
}

/// Those of which nft can say everything, on what is near the vectors by hand.
fn shipped_protocols() {
    let sources = addresses(&["192.0.2.1:4000", "[2001:db8::1]:4000"]);
    let mut said = 0;
    for shipped in protocols::ALL {
        let protocol = text::protocol(shipped.text, &Default::default()).protocol.expect(shipped.name);
        let by_clients = protocol.messages.iter().filter(|message| message.by != Some(Party::Service));
        let names: Vec<_> = by_clients.map(|message| message.name.as_str()).collect();
        let service = enforcing(&format!("protocol = '{}'\naccept = {names:?}", shipped.name));
        if nft::ruleset(&service).is_ok() {
            let vectors: Vec<_> = shipped.vectors().map(|vector| vector.payload).collect();
            check(&service, &sources, &vectors.iter().map(Vec::as_slice).collect::<Vec<_>>());
            said += 1;
        }
    }
    assert!(said > 3, "nft can say {said} protocols");
}

/// What may be written wrong in a ruleset.
const FAULTS: &[(&str, &str)] = &[
    ("udp length >= 11 @th,64,24 0x474554", "udp length >= 12 @th,64,24 0x474554"),
    ("udp length >= 11 @th,64,24 0x474554", "@th,64,24 0x474554"),
    ("@th,64,24 0x474554", "@th,64,24 0x474555"),
    ("@th,64,24 0x474554", "@th,64,16 0x4745"),
    ("@th,64,24 0x505554", "@th,64,24 & 0xdfffff == 0x505554"),
    ("udp length 23", "udp length 22-23"),
    ("udp length 23", "udp length >= 23"),
    ("udp sport != 4000", "udp sport != 4001"),
    ("192.0.2.0/24", "192.0.2.0/23"),
    ("192.0.2.0/24", "192.0.2.0/25"),
    ("2001:db8:bad::/48", "2001:db8:bac::/47"),
    ("203.0.113.2/31", "203.0.113.2"),
    ("ip saddr @allow_v4", "ip daddr @allow_v4"),
    ("burst 3 packets", "burst 4 packets"),
    ("ip saddr & 255.255.255.0", "ip saddr"),
    ("jump common_limits", "counter accept comment \"get\""),
    ("counter drop comment \"no accepted message\"", "counter accept comment \"no accepted message\""),
    ("counter accept comment \"get\"", "counter accept comment \"put\""),
];

fn faults_are_noticed() {
    let service = enforcing(
        "protocol = 'bag'\nblock = ['198.51.100.0/25', '2001:db8:bad::/48']\nallow = ['192.0.2.0/24']\n\
         accept = ['get', { message = 'put', when = 'len == 15' },\n\
         { message = 'stop', from = '203.0.113.2/31', when = 'source_port != 4000' }]\n\
         limit = [{ message = 'get', per = 'source/24,/64', rate = '1/h', burst = 3 },\n\
         { per = 'all', rate = '1/h', burst = 8 }]",
    );
    let batches = || {
        let near =
            |source| [&b"GET"[..], b"PUT567890123456", b"STOP"].map(|payload| near(source, payload)).concat();
        let mut batches: Vec<Vec<_>> = addresses(SOURCES).into_iter().map(near).collect();
        // Neighbours take from one bucket.
        batches.push(addresses(&["203.0.113.1:1", "203.0.113.9:1"]).into_iter().flat_map(near).collect());
        batches
    };
    are_noticed(&service, batches, FAULTS);
}

#[track_caller]
fn are_noticed(
    service: &Service,
    batches: impl Fn() -> Vec<Vec<ServiceDatagram>>,
    faults: &'static [(&str, &str)],
) {
    let right = compare(service, batches()).expect("nft runs");
    assert_eq!(right.shown, None);
    for (from, to) in faults {
        let change = move |ruleset: &str| {
            assert!(ruleset.contains(from), "{from} isn't in {ruleset}");
            ruleset.replacen(from, to, 1)
        };
        let wrong = compare_changed(service, batches(), change).expect("nft runs");
        assert_ne!(wrong.shown, None, "{from} as {to}");
    }
}

/// What the service of [`knowing`] is sent and sends: A2S_PLAYER, A2S_RULES, A2A_PING; A2S_PLAYER's answer, and a challenge.
const PLAYERS: &[u8] = b"\xff\xff\xff\xffU1234";
const RULES: &[u8] = b"\xff\xff\xff\xffV1234";
const PING: &[u8] = b"\xff\xff\xff\xffi";
const PLAYERS_REPLY: &[u8] = b"\xff\xff\xff\xffD\0";
const CHALLENGE: &[u8] = b"\xff\xff\xff\xffA1234";

/// A service that asks in each way whether sources are known.
fn knowing(by: &str) -> Service {
    enforcing(&format!(
        "protocol = 'a2s'\naccept = [{{ message = 'players', from = 'known' }}, {{ message = 'rules', from = 'unknown' }}, 'ping']\n\
         limit = [{{ message = 'ping', from = 'unknown', per = 'all', rate = '1/h', burst = 6 }},\n\
         {{ message = 'ping', from = 'known', per = 'source/32,/128', rate = '1/h', burst = 2 }}]\n\
         known = {{ after = ['players-reply', 'rules-reply'], by = '{by}', for = '60s' }}"
    ))
}

/// For each of some clients: all of them ask, the service sends it what is near an answer, and all ask again.
fn conversations() -> Vec<Vec<ServiceDatagram>> {
    let clients = addresses(&[
        "192.0.2.1:4000",
        "192.0.2.1:4001",
        "192.0.2.255:4000",
        "192.0.3.1:4000",
        "127.0.0.1:4000",
        "[2001:db8::1]:4000",
        "[2001:db8::ffff:0:0:1]:4000",
        "[2001:db8:0:1::1]:4000",
        "[::1]:4001",
    ]);
    let asked = || {
        let each = clients.iter().flat_map(|client| [PLAYERS, RULES, PING].map(|payload| (client, payload)));
        each.map(|(client, payload)| datagram(Party::Client, *client, payload))
    };
    let conversation = |client: &SocketAddr| {
        let sent = [CHALLENGE, PING, PLAYERS_REPLY].into_iter().flat_map(|payload| near(*client, payload));
        let sent = sent.map(|each| ServiceDatagram { by: Party::Service, behind: Vec::new(), ..each });
        asked().chain(sent).chain(asked()).collect()
    };
    clients.iter().map(conversation).collect()
}

/// What may be written wrong of who is known.
const KNOWING_FAULTS: &[(&str, &str)] = &[
    ("udp sport 4242 goto sent", "udp sport 4243 goto sent"),
    ("hook output", "hook input"),
    ("goto knowing", "accept"),
    ("0x44 goto knowing", "0x41 goto knowing"),
    ("ip saddr & 255.255.255.0 @known_v4", "ip saddr @known_v4"),
    ("ip saddr & 255.255.255.0 @known_v4", "ip saddr & 255.255.255.0 != @known_v4"),
    ("ip6 saddr & ffff:ffff:ffff:ffff:: != @known_v6", "ip6 saddr & ffff:ffff:ffff:ffff:: @known_v6"),
    ("update @known_v4 { ip daddr & 255.255.255.0 }", "update @known_v4 { ip saddr & 255.255.255.0 }"),
    ("update @known_v6 { ip6 daddr & ffff:ffff:ffff:ffff:: }", "update @known_v6 { ip6 daddr }"),
    ("update @known_v6", "delete @known_v6"),
];

fn answered_sources() {
    for by in ["source/24,/64", "source+port/24,/64", "source+port/32,/128"] {
        let compared = compare(&knowing(by), conversations()).expect("nft runs");
        assert_eq!(compared.shown, None, "{by}");
        assert_eq!(compared.not_sendable, 0, "{by}");
        assert!(compared.known > 9 && compared.delivered < compared.sent, "{by}: {compared:?}");
    }
    are_noticed(&knowing("source/24,/64"), conversations, KNOWING_FAULTS);
}

fn no_room_to_be_known() {
    let clients = addresses(&["192.0.2.1:4000", "192.0.3.1:4000", "192.0.4.1:4000"]);
    let all =
        |by, payload| clients.iter().map(move |client| datagram(by, *client, payload)).collect::<Vec<_>>();
    // Those who are known stay so, and are known anew.
    let sent = [all(Party::Service, PLAYERS_REPLY), all(Party::Client, PLAYERS)].concat();
    let change = |ruleset: &str| {
        let room = "size 65536\n\t\tflags dynamic,timeout\n\t\ttimeout 3600s";
        assert!(ruleset.contains(room), "{ruleset}");
        ruleset.replace(room, &room.replace("65536", "2"))
    };
    let compared = compare_changed(&knowing("source/24,/64"), vec![sent], change).expect("nft runs");
    let expected = "players".to_owned();
    let last = datagram(Party::Client, clients[2], PLAYERS);
    let shown = RulesetDisagreement::Delivery { datagram: last, expected, is_delivered: false };
    assert_eq!((compared.delivered, compared.shown), (2, Some(shown)));
}

fn known_for_a_while() {
    let mut service = knowing("source/24,/64");
    service.known.as_mut().expect("it says so").lasting = Duration::from_millis(100);
    let (received, listed) = in_namespace(&service, || {
        let (client, server) = connected("127.0.0.1");
        server.send_to(PLAYERS_REPLY, client.local_addr().expect("it is bound")).expect("lo is up");
        // A tick has at most 10 ms.
        std::thread::sleep(Duration::from_millis(150));
        send(&client, PLAYERS);
        received(&server)
    });
    assert!(received.is_empty(), "{received:?}");
    assert_eq!(
        (counted(&listed, nft::IS_KNOWN), counted(&listed, "players is unwelcome")),
        (1, 1),
        "{listed}"
    );
}

fn limits_hold() {
    let service = enforcing(
        "protocol = 'bag'\naccept = ['get', 'put', 'stop']\n\
         limit = [{ message = 'get', per = 'source/24,/64', rate = '400/s', burst = 3 },\n\
         { message = 'put', per = 'source+port/32,/128', rate = '100/m', burst = 2 },\n\
         { message = 'stop', from = ['127.0.1.1', '::1'], per = 'all', rate = '1/h' },\n\
         { message = 'stop', from = '203.0.113.0/24', per = 'source/32,/128', rate = '1/h' },\n\
         { per = 'all', rate = '20/h', burst = 8 }]",
    );
    let sources = addresses(&[
        "127.0.0.1:4000",
        "127.0.0.1:4001",
        "127.0.0.2:4000",
        "127.0.1.1:4000",
        "203.0.113.9:1",
        "[::1]:4000",
        "[::2]:4000",
    ]);
    let of = |payload: &'static [u8]| {
        let payload = payload.to_vec();
        sources.iter().map(move |source| datagram(Party::Client, *source, &payload))
    };
    // Each message alone reaches its own limits; together they reach the common one.
    let orders: [&[&'static [u8]]; 4] = [
        &[b"GET", b"GET", b"GET", b"GET"],
        &[b"PUT", b"PUT", b"PUT"],
        &[b"STOP", b"STOP", b"STOP"],
        &[b"GET", b"PUT", b"STOP", b"PUT", b"x", b"PUT", b"GET"],
    ];
    let batches = orders.map(|order| order.iter().flat_map(|payload| of(payload)).collect());
    let compared = compare(&service, batches.into()).expect("nft runs");
    assert_eq!(compared.shown, None);
    assert!(compared.delivered >= 20 && compared.sent > 2 * compared.delivered, "{compared:?}");
}

fn limits_in_time() {
    let datagram = datagram(Party::Client, ([192, 0, 2, 1], 4000).into(), b"GET");
    for per in ["all", "source/24,/56"] {
        let limit = format!("limit = [{{ per = '{per}', rate = '200/s', burst = 20 }}]");
        let service = enforcing(&format!("protocol = 'bag'\naccept = ['get']\n{limit}"));
        let pace = paced(&service, datagram.clone(), Duration::from_millis(700)).expect("nft runs");
        assert!(pace.agrees(), "{per}: {pace:?}");
        assert!(pace.accepted >= 20, "{per}: {pace:?}");
    }
}

fn no_room() {
    const ROOM: u32 = 65_536;
    let service =
        enforcing("protocol = 'bag'\naccept = ['get']\nlimit = [{ per = 'source/32,/128', rate = '1/h' }]");
    let of = |number: u32| {
        let source = SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + number), 4000));
        datagram(Party::Client, source, b"GET")
    };
    let compared = compare(&service, vec![(0..=ROOM).map(of).collect()]).expect("nft runs");
    let expected = "get".to_owned();
    let last = RulesetDisagreement::Delivery { datagram: of(ROOM), expected, is_delivered: false };
    assert_eq!((compared.sent, compared.shown), (u64::from(ROOM) + 1, Some(last)));
}

fn observing_drops_nothing() {
    let service = service(
        "mode = 'observe'\nprotocol = 'bag'\naccept = ['get']\nblock = ['127.0.0.2']\n\
         limit = [{ message = 'get', per = 'all', rate = '1/h' }]",
    );
    let packets =
        [("127.0.0.1:1", "x"), ("127.0.0.1:1", "GET"), ("127.0.0.1:1", "GET"), ("127.0.0.2:1", "GET")];
    let of = |(source, payload): (&str, &str)| {
        datagram(Party::Client, source.parse().expect(source), payload.as_bytes())
    };
    let compared = compare(&service, vec![packets.map(of).into(); 2]).expect("nft runs");
    assert_eq!((compared.delivered, compared.shown), (8, None), "each batch begins anew");
}

/// Behind this hook IPv6 puts datagrams together; those of IPv4 are whole here.
fn fragments() {
    for (fate, delivered) in [("drop", 0), ("pass", 1)] {
        let service = enforcing(&format!("protocol = 'wireguard'\nfragments = '{fate}'\naccept = ['data']"));
        let (received, listed) = in_namespace(&service, || {
            let small = Command::new("ip").args(["link", "set", "lo", "mtu", "1280"]).status();
            assert!(small.expect("iproute2 is there").success());
            let message = [&[4][..], &[0; 2999]].concat();
            ["127.0.0.1", "::1"].map(|address| {
                let (sender, receiver) = connected(address);
                send(&sender, &message);
                // What is put together comes when the kernel gets to it.
                received(&receiver).len()
            })
        });
        assert_eq!(received, [1, delivered], "{fate}");
        assert_eq!(counted(&listed, "fragments"), 1, "the first one of them has a port: {listed}");
    }
}

/// For IPv6 Linux takes them for as long as the IP packet is.
fn without_length() {
    let service = enforcing("protocol = './made-up.toml'\naccept = ['short']");
    let (_, listed) = in_namespace(&service, || {
        let raw = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::UDP)).expect("root may");
        let datagram = [&[16, 0], &PORT.to_be_bytes()[..], &[0, 0, 0, 0], b"GET"].concat();
        raw.send_to(&datagram, &SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)).into()).expect("lo is up");
    });
    assert_eq!((counted(&listed, "no length"), counted(&listed, "short")), (1, 0), "{listed}");
}

fn others_go_by() {
    let service = enforcing("listen = 'udp/127.0.0.1:4242'\nprotocol = 'bag'\naccept = ['get']");
    in_namespace(&service, || {
        let check = |address: &str, delivered: usize| {
            let (sender, receiver) = connected(address);
            send(&sender, b"x");
            assert_eq!(received(&receiver).len(), delivered, "{address}");
        };
        check("127.0.0.1", 0);
        check("::1", 1);
        check("127.0.0.2", 1);
        let other = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
        other.set_nonblocking(true).expect("it can be");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
        sender.connect(other.local_addr().expect("it is bound")).expect("lo is up");
        send(&sender, b"x");
        assert_eq!(received(&other), [b"x"], "another port");
        let listener = std::net::TcpListener::bind(("127.0.0.1", PORT)).expect("lo is up");
        let address = listener.local_addr().expect("it is bound");
        std::net::TcpStream::connect(address).expect("TCP to the same port goes by");
    });
}

/// Does it in a namespace where the service's rules are loaded, and gives what they have then.
fn in_namespace<T: Send + 'static>(
    service: &Service,
    run: impl FnOnce() -> T + Send + 'static,
) -> (T, String) {
    let (ruleset, table) = (nft::ruleset(service).expect("nft can say it"), nft::table_name(service));
    let inside = move || {
        let loaded = run_nft(&["-f", "-"], &ruleset).expect("nft starts");
        assert_eq!((loaded.status, loaded.stderr.as_str()), (Some(0), ""), "{ruleset}");
        let done = run();
        (done, run_nft(&["list", "table", "inet", &table], "").expect("nft starts").stdout)
    };
    in_own_network(inside).expect("root may")
}

/// What the rule with that comment counted.
#[track_caller]
fn counted(listed: &str, comment: &str) -> u64 {
    let line = listed.lines().find(|line| line.ends_with(&format!("comment \"{comment}\"")));
    let counter = line.and_then(|line| line.split("counter packets ").nth(1)).expect("such a rule");
    counter.split(' ').next().and_then(|count| count.parse().ok()).expect("a number")
}

/// A socket that sends to the service's port at an address of lo, and the service's there.
fn connected(address: &str) -> (UdpSocket, UdpSocket) {
    let receiver = UdpSocket::bind((address, PORT)).expect("lo is up");
    receiver.set_nonblocking(true).expect("it can be");
    let sender = UdpSocket::bind((address, 0)).expect("lo is up");
    sender.connect((address, PORT)).expect("lo is up");
    (sender, receiver)
}

fn enforcing(rest: &str) -> Service {
    service(&format!("mode = 'enforce'\n{rest}"))
}

/// The service of a guard that says this besides its name, and where it listens unless it says so.
fn service(rest: &str) -> Service {
    let listen = if rest.contains("listen") { String::new() } else { format!("listen = 'udp/{PORT}'\n") };
    let reading = text::guard(&format!("[[service]]\nname = 'test'\n{listen}{rest}"), &mut Known);
    let services = reading.services.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
    services.into_iter().next().expect("one")
}

/// What is shipped, and the protocol that is made up.
struct Known;

impl Files for Known {
    fn protocol(&mut self, name: &str) -> Result<NamedText, Unavailable> {
        let text = protocols::find(name).map_or(MADE_UP, |shipped| shipped.text);
        Ok(NamedText { name: name.to_owned(), text: text.to_owned() })
    }

    fn list(&mut self, path: &str) -> Result<NamedText, Unavailable> {
        Err(Unavailable { message: format!("there is no {path}"), help: None })
    }
}
