//! Captures judged by guards.

use std::fs;

use serde_json::{Value, json as value};

use crate::{
    captures::{ETHERNET, Frame, LINKS, packed, pcap, pcapng, udp},
    check, folder, guard, json, write,
};

const SERVER: &str = "10.0.0.2:53";

/// Packets of every kind of decision.
fn frames() -> Vec<Frame> {
    vec![
        udp(0, "10.0.0.1:4000", SERVER, b"q1"),
        udp(1, "10.0.0.1:4000", SERVER, b"q2"),
        udp(2, "10.0.0.1:4000", SERVER, b"q3"),
        udp(3, "10.0.0.3:4000", SERVER, b"n"),
        udp(4, SERVER, "10.0.0.3:9", b"r"),
        udp(5, "10.0.0.3:4000", SERVER, b"n"),
        udp(6, "203.0.113.7:1", SERVER, b"q1"),
        udp(7, "192.0.2.7:1", SERVER, b"\x1b[2J"),
        udp(8, "10.0.0.4:1", SERVER, b"\x1b[2J"),
        udp(9, "[2001:db8:bad::1]:1", "[2001:db8::2]:53", b"q1"),
        udp(10, "10.0.0.1:4000", "10.0.0.2:54", b"q1"),
        udp(70_000, "10.0.0.3:4000", SERVER, b"n"),
        udp(70_001, "10.0.0.1:4000", SERVER, b"q4"),
    ]
}

/// Each decision with its packets.
fn decisions(report: &Value) -> Vec<(String, u64)> {
    let rows = report["services"][0]["decisions"].as_array().expect("rows");
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let message = row["message"].as_str().unwrap_or_default();
            let name = format!("{} {message}", row["decision"].as_str().expect("a name"));
            (name.trim_end().to_owned(), row["packets"].as_u64().expect("a number"))
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn each_packet_meets_the_rule_that_it_meets_when_all_are_followed() {
    let folder = folder();
    write(folder.path(), "day.pcap", pcap(ETHERNET, &frames(), true, false));
    let report = json(&guard(folder.path(), &["try", "guard.toml", "--pcap", "day.pcap", "--json"]));
    let expected = [
        ("accepted notify", 1),
        ("accepted query", 3),
        ("allowed", 1),
        ("blocked", 2),
        ("no-message", 1),
        ("over-limit query", 1),
        ("unwelcome notify", 2),
    ];
    assert_eq!(decisions(&report), expected.map(|(name, packets)| (name.to_owned(), packets)));
    for (count, expected) in [("packets", 13), ("judged", 11), ("answers", 1), ("nobody", 1), ("not_udp", 0)]
    {
        assert_eq!(report[count], expected, "{count}: {report}");
    }
    let row = |decision: &str| {
        let rows = report["services"][0]["decisions"].as_array().expect("rows");
        rows.iter().find(|row| row["decision"] == decision).expect("a row").clone()
    };
    let unwelcome = row("unwelcome");
    assert_eq!((&unwelcome["first_s"], &unwelcome["last_s"]), (&value!(0.003), &value!(70.0)));
    assert_eq!((&unwelcome["bytes"], &unwelcome["example"]), (&value!(2), &value!("6e")));
    assert_eq!(row("no-message")["example"], "1b5b324a");
    assert_eq!(report["dropped_sources"][0], value!({ "source": "10.0.0.3", "packets": 2 }));
}

#[test]
fn captures_of_every_kind_say_the_same() {
    let folder = folder();
    let report = |file: Vec<u8>| {
        write(folder.path(), "day", file);
        json(&guard(folder.path(), &["try", "guard.toml", "--pcap", "day", "--json"]))
    };
    let expected = report(pcap(ETHERNET, &frames(), true, false));
    assert_eq!(expected["judged"], 11);
    for link in LINKS {
        for (kind, file) in [
            ("micro", pcap(link, &frames(), false, false)),
            ("big", pcap(link, &frames(), true, true)),
            ("pcapng", pcapng(link, &frames())),
            ("packed", packed(&pcap(link, &frames(), true, false))),
            ("packed pcapng", packed(&pcapng(link, &frames()))),
        ] {
            assert_eq!(report(file), expected, "{kind} of link type {link}");
        }
    }
}

#[test]
fn what_a_capture_cut_short_is_judged_by_what_is_there() {
    let folder = folder();
    let mut cut = udp(0, "10.0.0.1:1", SERVER, b"q234567890");
    cut.kept -= 9;
    // Twenty-one bytes are no query, however few are there.
    let mut long = udp(1, "10.0.0.1:1", SERVER, &[b'q'; 21]);
    long.kept -= 20;
    let mut without_port = udp(2, "10.0.0.1:1", SERVER, b"q1");
    without_port.kept = 21;
    let mut without_ip = udp(3, "10.0.0.1:1", SERVER, b"q1");
    without_ip.kept = 0;
    write(folder.path(), "day", pcap(ETHERNET, &[cut, long, without_port, without_ip], true, false));
    let report = json(&guard(folder.path(), &["try", "guard.toml", "--pcap", "day", "--json"]));
    assert_eq!(decisions(&report), [("accepted query".to_owned(), 1), ("no-message".to_owned(), 1)]);
    assert_eq!((&report["judged_cut"], &report["cut"]), (&value!(2), &value!(2)), "{report}");
}

#[test]
fn packets_that_are_nobodys_are_counted_by_what_they_are() {
    let folder = folder();
    let packet = || udp(0, "10.0.0.1:1", SERVER, b"q1");
    let changed = |at: usize, value: u8| {
        let mut frame = packet();
        frame.ip[at] = value;
        frame
    };
    let frames = [
        packet(),
        changed(6, 0x20), // more fragments
        changed(7, 1),    // a fragment's offset
        changed(9, 1),    // ICMP
        changed(25, 200), // a UDP length beyond the packet
        changed(25, 7),   // and one below its header
        changed(0, 0x44), // an IP header of 16 bytes
    ];
    write(folder.path(), "day", pcap(101, &frames, true, false));
    let report = json(&guard(folder.path(), &["try", "guard.toml", "--pcap", "day", "--json"]));
    for (count, expected) in [("packets", 7), ("judged", 1), ("fragments", 2), ("not_udp", 4), ("cut", 0)] {
        assert_eq!(report[count], expected, "{count}: {report}");
    }
    // The first fragment says the service's port.
    let expected =
        [("accepted query", 1), ("fragment", 1)].map(|(decision, count)| (decision.to_owned(), count));
    assert_eq!(decisions(&report), expected);
}

#[test]
fn an_address_says_which_packets_are_for_the_service() {
    let folder = folder();
    let frames = [
        udp(0, "10.0.0.1:1", SERVER, b"q1"),
        udp(1, SERVER, "198.51.100.1:53", b"q1"),
        udp(2, "10.0.0.1:2", SERVER, b"q1"),
    ];
    write(folder.path(), "day", pcap(ETHERNET, &frames, true, false));
    for (arguments, judged) in [
        (&[][..], 3),
        (&["--to", "10.0.0.2"], 2),
        (&["--to", "::ffff:10.0.0.2"], 2),
        (&["--to", "10.0.0.9"], 0),
        (&["--service", "letters"], 3),
    ] {
        let all = [&["try", "guard.toml", "--pcap", "day", "--json"], arguments].concat();
        assert_eq!(json(&guard(folder.path(), &all))["judged"], judged, "{arguments:?}");
    }
    let wrong = guard(folder.path(), &["try", "guard.toml", "--pcap", "day", "--service", "leters"]);
    check(&wrong, 2, &["no service 'leters'", "did you mean 'letters'?"]);
}

#[test]
fn dropped_packets_are_written_as_they_were_captured() {
    let folder = folder();
    let out = folder.path().join("dropped.pcap");
    for link in LINKS {
        let mut frames = frames();
        frames[8].kept -= 1;
        write(folder.path(), "day", pcap(link, &frames, true, false));
        let ended =
            guard(folder.path(), &["try", "guard.toml", "--pcap", "day", "--out", "dropped.pcap", "--json"]);
        json(&ended);
        let dropped = [2, 3, 6, 8, 9, 11].map(|at| frames[at].clone());
        let mut expected = pcap(link, &dropped, true, false);
        // The longest frame that the file may have.
        expected[16..20].copy_from_slice(&(1_u32 << 18).to_le_bytes());
        assert_eq!(fs::read(&out).expect("it is there"), expected, "link type {link}");
    }
    let missing = ["try", "guard.toml", "--pcap", "day", "--out", "nowhere/dropped.pcap"];
    check(&guard(folder.path(), &missing), 1, &["writing nowhere/dropped.pcap"]);
}

#[test]
fn a_table_tells_it_to_people_and_acts_on_no_terminal() {
    let folder = folder();
    write(folder.path(), "day", pcap(ETHERNET, &frames(), true, false));
    let ended = guard(folder.path(), &["try", "guard.toml", "--pcap", "day"]);
    check(&ended, 0, &[]);
    for part in [
        "letters (udp/53): 11 packets, in observe mode",
        "| accepted: query ",
        "dropped: no message of the ",
        "1/s, 2 at once",
        "| 27.3 ",
        "| all                  | 13 ",
        "| answers of a service | 1 ",
    ] {
        assert!(ended.stdout.contains(part), "no '{part}' in:\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\x1b'));
}

#[test]
fn garbage_is_no_capture_and_a_damaged_one_is_judged_as_far_as_it_goes() {
    let folder = folder();
    let whole = pcap(ETHERNET, &frames(), true, false);
    let unread = pcap(105, &frames(), true, false);
    for (file, words) in [
        (b"".to_vec(), "ends before it has begun"),
        (vec![0x5a; 4096], "is no capture"),
        ([&[0x1f, 0x8b][..], &[0x5a; 4096]].concat(), "can't be unpacked"),
        (whole[..24].to_vec(), "no frame"),
        (unread, "its link type is"),
    ] {
        write(folder.path(), "day", file);
        check(&guard(folder.path(), &["try", "guard.toml", "--pcap", "day"]), 2, &["the capture day", words]);
    }
    write(folder.path(), "day", &whole[..whole.len() - 1]);
    let ended = guard(folder.path(), &["try", "guard.toml", "--pcap", "day", "--json"]);
    check(&ended, 1, &["ends in the middle of a packet"]);
    let report: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!((&report["packets"], &report["judged"]), (&value!(12), &value!(10)));
    check(&guard(folder.path(), &["try", "guard.toml", "--pcap", "nowhere"]), 2, &["nowhere"]);
    check(&guard(folder.path(), &["try", "letters.toml", "--pcap", "day"]), 2, &["is a protocol"]);
    // Whatever a byte becomes, there is an end with a status.
    for file in [&whole, &pcapng(ETHERNET, &frames()), &packed(&whole)] {
        for at in (0..file.len()).step_by(17) {
            let mut hostile = file.clone();
            hostile[at] ^= 0xff;
            write(folder.path(), "day", hostile);
            let ended = guard(folder.path(), &["try", "guard.toml", "--pcap", "day"]);
            assert!(matches!(ended.status, Some(0..=2)), "byte {at}: {ended:?}");
            assert!(!ended.stderr.contains("panicked"), "byte {at}: {ended:?}");
        }
    }
}
