//! What happens at each hook to frames that aren't whole datagrams, and to traffic that isn't the server's: each cell of
//! the table in docs/hooks.md.
//!
//! Where the kernel or the privilege is missing they count as ignored, with the reason in brackets.

mod frames;
mod wire;

use std::net::TcpStream;

use weir_filters::{Hook, Toolkit};
use weir_hooks::{KernelFilter, XdpMode, kernel_features, loadable};
use weir_results::net::Side;
use weir_testing::{Group, Test};
use weir_wire::headers::{self, ethernet, ipv4, ipv6};

use frames::{ICMP, ICMP6, Path, octets};
use wire::{COLUMNS, Wire};

const TESTS: &[Test] = &[
    ("every_cell_of_the_pages_table_holds", every_cell_holds),
    ("the_page_has_the_table", the_page_has_the_table),
    ("what_is_not_the_servers_goes_on_while_all_that_is_is_dropped", what_is_not_the_servers_goes_on),
];

/// Of frames in several pieces, which a driver gives to a program only since Linux 5.18.
const IN_PIECES: &[Test] = &[(
    "a_frame_in_several_pieces_is_judged_in_the_driver_whoever_wrote_the_program",
    frames_in_pieces_are_judged,
)];

fn main() {
    let obstacle = KernelFilter::lack();
    let no_pieces =
        (!kernel_features().xdp_frags).then(|| "this kernel's drivers give programs no pieces".to_owned());
    weir_testing::run([
        Group::of(TESTS).skipped_for(obstacle.clone()),
        Group::of(IN_PIECES)
            .skipped_for(obstacle.clone())
            .inapplicable_for(no_pieces.filter(|_| obstacle.is_none())),
    ]);
}

/// What becomes of a datagram for a server whose filter drops everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The filter drops it.
    Judged,
    /// The filter lets it go by, and the server gets it.
    GoesBy,
    /// The kernel discards it, and the filter has no say.
    Discarded,
}
use Outcome::{Discarded as X, GoesBy as G, Judged as J};

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Judged => "judged",
            Self::GoesBy => "goes by",
            Self::Discarded => "discarded",
        }
    }
}

/// A row of the table: what it is called there, in which IP versions it holds, the frames, and the outcomes at
/// [`COLUMNS`].
struct Row {
    what: &'static str,
    v6: &'static [bool],
    frames: fn(&Path, u16) -> Vec<Vec<u8>>,
    outcomes: [Outcome; 6],
}

const JUMBO: &str = "a jumbo frame (8 kB, MTU 9000)";
const JUMBO_MTU: u32 = 9000;
const ETHERNET_MTU: u32 = 1500;

const BOTH: &[bool] = &[false, true];
const PAYLOAD: &[u8] = b"sixteen bytes...and some more of them";

const ROWS: &[Row] = &[
    Row {
        what: "a whole datagram",
        v6: BOTH,
        frames: |path, port| vec![path.frame(&path.packet(headers::UDP, &path.udp(port, PAYLOAD, true)))],
        outcomes: [J, J, J, J, J, J],
    },
    Row {
        what: "a datagram in IP fragments",
        v6: BOTH,
        frames: |path, port| {
            let parts = path.fragments(headers::UDP, &path.udp(port, PAYLOAD, true), 16);
            parts.iter().map(|part| path.frame(part)).collect()
        },
        outcomes: [J, J, J, G, G, G],
    },
    Row {
        what: "UDP checksum 0, IPv4",
        v6: &[false],
        frames: |path, port| vec![path.frame(&path.packet(headers::UDP, &path.udp(port, PAYLOAD, false)))],
        outcomes: [J, J, J, J, J, J],
    },
    Row {
        what: "UDP checksum 0, IPv6",
        v6: &[true],
        frames: |path, port| vec![path.frame(&path.packet(headers::UDP, &path.udp(port, PAYLOAD, false)))],
        outcomes: [X, J, X, J, J, J],
    },
    Row {
        what: JUMBO,
        v6: BOTH,
        frames: |path, port| {
            vec![path.frame(&path.packet(headers::UDP, &path.udp(port, &[b'J'; 8000], true)))]
        },
        outcomes: [J, J, J, J, J, J],
    },
    Row {
        what: "a truncated frame: less than its IP header says",
        v6: BOTH,
        frames: |path, port| {
            let mut frame = path.frame(&path.packet(headers::UDP, &path.udp(port, PAYLOAD, true)));
            frame.truncate(frame.len() - 5);
            vec![frame]
        },
        outcomes: [X, X, X, X, X, X],
    },
    Row {
        what: "a truncated datagram: less than its UDP header says",
        v6: BOTH,
        frames: |path, port| {
            let datagram = path.udp(port, PAYLOAD, true);
            vec![path.frame(&path.packet(headers::UDP, &datagram[..datagram.len() - 5]))]
        },
        outcomes: [X, X, X, X, X, X],
    },
    Row {
        what: "a VLAN tag that no interface takes",
        v6: BOTH,
        frames: |path, port| vec![path.tagged(&path.packet(headers::UDP, &path.udp(port, PAYLOAD, true)))],
        outcomes: [X, X, X, J, J, J],
    },
    Row {
        what: "a datagram behind seven IPv6 extension headers",
        v6: &[true],
        frames: |path, port| vec![path.frame(&path.behind_options(7, &path.udp(port, PAYLOAD, true)))],
        outcomes: [J, J, J, J, J, J],
    },
    Row {
        what: "a UDP length of 0, IPv6",
        v6: &[true],
        frames: |path, port| {
            vec![path.frame(&path.packet(headers::UDP, &path.udp_without_length(port, PAYLOAD)))]
        },
        outcomes: [J, J, J, J, J, J],
    },
    Row {
        what: "an IPv6 payload length of 0 behind a hop-by-hop header",
        v6: &[true],
        frames: |path, port| vec![path.frame(&path.jumbo(&path.udp(port, PAYLOAD, true)))],
        outcomes: [J, J, J, J, J, J],
    },
];

fn every_cell_holds() {
    for (number, column) in COLUMNS.into_iter().enumerate() {
        // A driver takes no program for frames larger than a page where frames can't come in pieces.
        let is_in_one_piece = column == (Hook::Xdp, XdpMode::Native) && !kernel_features().xdp_frags;
        let wire = Wire::new(if is_in_one_piece { ETHERNET_MTU } else { JUMBO_MTU });
        let port = wire.server.local_addr().expect("it is bound").port();
        for row in ROWS.iter().filter(|row| !(is_in_one_piece && row.what == JUMBO)) {
            for &v6 in row.v6 {
                let (filter, _attached) = wire.attach(column);
                for frame in (row.frames)(&wire.path(v6), port) {
                    wire.send(&frame);
                }
                wire.settle();
                let dropped = filter.verdicts().expect("it is read").expect("it counts").dropped;
                let is_delivered = wire.server.recv(&mut [0; 16]).is_ok();
                let outcome = match (dropped, is_delivered) {
                    (1, false) => J,
                    (0, true) => G,
                    (0, false) => X,
                    _ => panic!("{}: {dropped} dropped, delivered: {is_delivered}", row.what),
                };
                assert_eq!(outcome, row.outcomes[number], "{} at {column:?}, IPv6: {v6}", row.what);
            }
        }
    }
}

/// A payload in several pieces; and a UDP header that isn't in the first, behind 4 kB of options.
fn frames_in_pieces_are_judged() {
    let wire = Wire::new(JUMBO_MTU);
    let port = wire.server.local_addr().expect("it is bound").port();
    let combinations = Toolkit::ALL.into_iter().flat_map(|toolkit| {
        let filters =
            ["valid-command", "quota+valid-command", "blocklist+valid-command"].map(|name| name.parse());
        filters.map(move |filter| (toolkit, filter.expect("a filter")))
    });
    for (toolkit, filter) in
        combinations.filter(|(toolkit, filter)| loadable(*filter, *toolkit, Hook::Xdp).is_ok())
    {
        for v6 in [false, true] {
            let path = wire.path(v6);
            for (word, is_accepted) in [(&b"STOP"[..], true), (b"BAD", false)] {
                let payload = [word, &[b'J'; 8000]].concat();
                let udp = path.udp(port, &payload, false);
                let options = [headers::UDP, u8::MAX].into_iter().chain([0; 2046]);
                let options =
                    [&[ipv6::DESTINATION_OPTIONS, u8::MAX][..], &[0; 2046], &options.collect::<Vec<_>>()]
                        .concat();
                let behind = path.udp(port, &[word, b"J"].concat(), false);
                let mut packets = vec![path.packet(headers::UDP, &udp)];
                packets
                    .extend(v6.then(|| path.packet(ipv6::DESTINATION_OPTIONS, &[options, behind].concat())));
                for packet in packets {
                    let (program, _attached) =
                        wire.attach_filter((Hook::Xdp, XdpMode::Native), filter, toolkit);
                    wire.send(&path.frame(&packet));
                    wire.settle();
                    let counts = program.verdicts().expect("it is read").expect("it counts");
                    let expected = if is_accepted { (1, 0) } else { (0, 1) };
                    let what = format!("{filter} by {toolkit}, {} bytes, IPv6: {v6}", packet.len());
                    assert_eq!((counts.accepted, counts.dropped), expected, "{what}");
                    // What passed stays nowhere.
                    while wire.server.recv(&mut [0; 16]).is_ok() {}
                }
            }
        }
    }
}

fn the_page_has_the_table() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hooks.md");
    let page = std::fs::read_to_string(page).expect("it is there");
    for row in ROWS {
        let cells = row.outcomes.map(Outcome::word).join(" | ");
        let line = format!("| {} | {cells} |", row.what);
        assert!(page.lines().any(|found| found == line), "not in docs/hooks.md: {line}");
    }
}

fn what_is_not_the_servers_goes_on() {
    let wire = Wire::new(ETHERNET_MTU);
    let port = wire.server.local_addr().expect("it is bound").port();
    let tcp = wire.listener.local_addr().expect("it is bound").port();
    for column in COLUMNS {
        let (filter, _attached) = wire.attach(column);
        for v6 in [false, true] {
            let path = wire.path(v6);
            wire.send(&path.frame(&path.packet(headers::UDP, &path.udp(port, PAYLOAD, true))));
            wire.settle();
            assert!(wire.server.recv(&mut [0; 16]).is_err(), "{column:?}: the server's own is dropped");

            let other = wire.other.local_addr().expect("it is bound").port();
            wire.send(&path.frame(&path.packet(headers::UDP, &path.udp(other, PAYLOAD, true))));
            let mut buffer = [0; 64];
            let len = wire.other.recv(&mut buffer).expect("another port's datagram comes");
            assert_eq!(&buffer[..len], PAYLOAD);

            let to = (path.addresses.1, tcp);
            let stream = wire.net.within(Side::Client, || TcpStream::connect(to)).expect("root may");
            stream.unwrap_or_else(|error| panic!("{column:?}: TCP: {error}"));
            for probe in probes(&path) {
                wire.send(&probe.request);
                let is_answered = wire.is_answered(|frame| probe.is_answered_by(frame));
                assert!(is_answered, "{column:?}: {} isn't answered, IPv6: {v6}", probe.what);
            }
        }
        let counts = filter.verdicts().expect("it is read").expect("it counts");
        assert_eq!((counts.accepted, counts.dropped), (0, 2), "{column:?}");
    }
}

/// What the server's kernel answers by itself.
struct Probe {
    what: &'static str,
    request: Vec<u8>,
    /// Bytes of the answer, each run with its offset.
    answer: Vec<(usize, Vec<u8>)>,
}

impl Probe {
    fn is_answered_by(&self, frame: &[u8]) -> bool {
        self.answer.iter().all(|(at, bytes)| frame.get(*at..at + bytes.len()) == Some(bytes))
    }
}

fn probes(path: &Path) -> [Probe; 2] {
    let from_server = (MAC_LEN, path.macs.1.to_vec());
    let server = octets(path.addresses.1);
    let ip = ethernet::HEADER_LEN;
    if path.addresses.0.is_ipv4() {
        let is_icmp = (ip + ipv4::PROTOCOL_OFFSET, vec![ICMP]);
        return [
            Probe {
                what: "ARP",
                request: path.arp(),
                answer: vec![from_server.clone(), (ip + 6, vec![0, 2])],
            },
            Probe {
                what: "ICMP echo",
                request: path.frame(&path.icmp(ICMP, &[8, 0, 0, 0, 0, 1, 0, 1])),
                answer: vec![from_server, is_icmp, (ip + ipv4::MIN_HEADER_LEN, vec![0])],
            },
        ];
    }
    let is_icmp = (ip + ipv6::NEXT_HEADER_OFFSET, vec![ICMP6]);
    let of_type = |number| (ip + ipv6::HEADER_LEN, vec![number]);
    let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &server, &[1, 1], &path.macs.0].concat();
    [
        Probe {
            what: "NDP",
            request: path.frame(&path.icmp(ICMP6, &solicitation)),
            answer: vec![from_server.clone(), is_icmp.clone(), of_type(136)],
        },
        Probe {
            what: "ICMP echo",
            request: path.frame(&path.icmp(ICMP6, &[128, 0, 0, 0, 0, 1, 0, 1])),
            answer: vec![from_server, is_icmp, of_type(129)],
        },
    ]
}

/// Of an Ethernet address.
const MAC_LEN: usize = 6;
