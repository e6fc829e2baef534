//! Files that are large, deep or garbage: refused or read, and never for long.

use super::*;

#[test]
fn hostile_protocols_are_refused_without_delay() {
    let fields = |line: &dyn Fn(usize) -> String, count| {
        let mut text = "name = \"x\"\n[fields]\n".to_owned();
        (0..count).for_each(|at| text.push_str(&line(at)));
        text + "[[message]]\nname = \"m\"\nwhen = \"true\"\n"
    };
    let messages = |line: &dyn Fn(usize) -> String, count| {
        let mut text = "name = \"x\"\n[fields]\na = \"u32 @ 0\"\n".to_owned();
        (0..count).for_each(|at| write!(text, "[[message]]\nname = \"m{at}\"\n{}\n", line(at)).unwrap());
        text
    };
    let when = |when: &str| {
        format!(
            "name = \"x\"\n[fields]\na = \"u8 @ 0\"\nt = \"text behind u8 @ 0\"\n[[message]]\nname = \"m\"\nwhen = \"{when}\""
        )
    };
    let chain = |at| format!("f{at} = \"u8 @ end(f{})\"\n", at + 1);
    let rows = [
        (fields(&|at| chain(at), 900), "no field or constant"),
        (
            fields(&|at| if at == 899 { "f899 = \"u8 @ 0\"\n".to_owned() } else { chain(at) }, 900),
            "at most 256",
        ),
        (
            fields(&|at| format!("f{at} = \"u8 @ end(f{}) + end(f{})\"\n", at + 1, at + 1), 99),
            "no field or constant",
        ),
        (
            fields(
                &|at| {
                    if at == 98 {
                        "f98 = \"u8 @ 0\"\n".to_owned()
                    } else {
                        format!("f{at} = \"u8 @ end(f{0}) + end(f{0})\"\n", at + 1)
                    }
                },
                99,
            ),
            "at most 256",
        ),
        (
            fields(&|at| format!("f{at} = \"u8 @ end(f{})\"\n", (at + 1) % 900), 900),
            "f0 → f1 → f2 → f3 → f4 → f5 → … → f0",
        ),
        (fields(&|at| format!("f{at} = \"u8 @ 0\"\n"), 20_000), "more than 1000 fields"),
        (
            messages(&|at| format!("like = \"m{}\"\nwhen = \"a == {at}\"", (at + 1).min(9_998)), 9_999),
            "needs itself",
        ),
        (
            messages(
                &|at| {
                    if at == 9_998 {
                        "when = \"a == 1\"".to_owned()
                    } else {
                        format!("like = \"m{}\"\nwhen = \"a == {at}\"", at + 1)
                    }
                },
                9_999,
            ),
            "more than 100000 parts",
        ),
        (messages(&|at| format!("like = \"n{at}\""), 10_000), "no message 'n0'"),
        (messages(&|_| "when = \"true\"".to_owned(), 10_001), "more than 10000 messages"),
        (format!("name = {}1{}", "[".repeat(100_000), "]".repeat(100_000)), "not TOML"),
        (format!("{} = 1", vec!["a"; 100_000].join(".")), "not TOML"),
        (
            format!(
                "name = \"x\"\n[[message]]\nname = \"m\"\nwhen = \"{}true{}\"",
                "(".repeat(1000),
                ")".repeat(1000)
            ),
            "",
        ),
        (format!("name = \"x\"\n[[message]]\nname = \"{}\"", "m".repeat(1_000_000)), "can't be a name"),
        (format!("\"{}\" = 1", "m".repeat(1_000_000)), "unknown key"),
        (when(&"9".repeat(1_000_000)), "more than 64 bits"),
        (when(&format!("0b{}", "2".repeat(1_000_000))), "is no number"),
        (when(&format!("{} == 1", "x".repeat(1_000_000))), "no field or constant"),
        (fields(&|_| format!("f = \"{} @ 0\"\n", "x".repeat(1_000_000)), 1), ""),
        (fields(&|_| format!("f = \"u8 @ {}\"\n", "x".repeat(1_000_000)), 1), "no field or constant"),
        (fields(&|_| format!("f = \"text until {} @ 0\"\n", "x".repeat(1_000_000)), 1), ""),
        (when(&format!("a == 1 {}", "x".repeat(1_000_000))), ""),
        (when(&format!("lower(t) == '{}'", "X".repeat(1_000_000))), "none of A to Z"),
        ("\u{fffd}\0\"[=".repeat(130_000), "not TOML"),
        ("a".repeat(2_000_000), "at most 1048576 are read"),
    ];
    for (text, words) in rows {
        let reading = read_protocol(&text);
        let told = told(&text, &reading.diagnostics);
        let start = text.chars().take(40).collect::<String>();
        assert!(
            reading.protocol.is_none() && told.iter().any(|one| one.contains(words)),
            "{start}: {words}: {told:?}"
        );
        assert!(told.iter().all(|one| one.len() < 1000), "{start}: a diagnostic is as long as the file");
    }
}

#[test]
fn ten_thousand_messages_are_read() {
    let mut text = "name = \"x\"\n[fields]\na = \"u32 @ 0\"\n".to_owned();
    (0..10_000).for_each(|at| write!(text, "[[message]]\nname = \"m{at}\"\nwhen = \"a == {at}\"\n").unwrap());
    let reading = read_protocol(&text);
    assert_eq!(told(&text, &reading.diagnostics), [""; 0]);
    assert_eq!(reading.protocol.map(|protocol| protocol.messages.len()), Some(10_000));
}

#[test]
fn thousands_of_services_share_their_protocols() {
    let mut text = String::new();
    for port in 1..=5_000 {
        let service = SERVICE
            .replace("name = \"dns\"", &format!("name = \"s{port}\""))
            .replace("udp/53", &format!("udp/{port}"));
        text.push_str(&service);
    }
    let reading = read(&text, &[]);
    assert_eq!(told(&text, &reading.diagnostics), [""; 0]);
    assert_eq!(reading.services.map(|services| services.len()), Some(5_000));
    assert_eq!(reading.files.len(), 1);
}

#[test]
fn a_list_of_a_million_prefixes_is_read() {
    let mut list = String::with_capacity(16_000_000);
    (0..1_000_000_u32).for_each(|at| writeln!(list, "{}/31", std::net::Ipv4Addr::from(at * 4)).unwrap());
    let text = format!("{SERVICE}block = [\"@list\"]\n");
    let services = read(&text, &[("list", &list)]).services.unwrap();
    assert_eq!(services[0].block.prefixes().len(), 1_000_000);
    let many = format!("{SERVICE}block = [{}]\n", "\"@list\", ".repeat(5));
    let reading = read(&many, &[("list", &list)]);
    assert_told(&told(&many, &reading.diagnostics), "error 6:46", &["more than 4194304 prefixes"]);
}

#[test]
fn nothing_that_is_said_of_a_guard_is_as_long_as_its_texts() {
    let long = "x".repeat(1_000_000);
    for (at, _) in GUARD.match_indices('"').step_by(2) {
        let end = at + 1 + GUARD[at + 1..].find('"').unwrap();
        let text = format!("{}{long}{}", &GUARD[..=at], &GUARD[end..]);
        let told = told(&text, &read(&text, &[]).diagnostics);
        assert!(
            !told.is_empty() && told.iter().all(|one| one.len() < 1000),
            "{}: {}",
            &GUARD[at..end],
            told[0].len()
        );
    }
}

#[test]
fn a_list_may_have_a_byte_order_mark_and_lines_as_windows_ends_them() {
    let text = format!("{SERVICE}block = [\"@list\"]\n");
    let services =
        read(&text, &[("list", "\u{feff}192.0.2.0/24\r\n\r\n2001:db8::/32 # office\r\n")]).services.unwrap();
    assert_eq!(services[0].block.prefixes().len(), 2);
    let list = "\u{feff}192.0.2.0/24\r\nx\r\n";
    let reading = read(&text, &[("list", list)]);
    assert_told(&told(list, &reading.files[1].diagnostics), "error 2:1", &["'x' is no prefix"]);
}

#[test]
fn garbage_in_a_list_is_told_by_the_first_lines_alone() {
    let text = format!("{SERVICE}block = [\"@list\"]\n");
    let reading = read(&text, &[("list", &"garbage\n".repeat(1_000_000))]);
    let found = &reading.files[1].diagnostics;
    assert_eq!((found.iter().count(), found.has_more()), (Diagnostics::LIMIT, true));
}

proptest! {
    /// Pieces of a file are put elsewhere, and what is between them is random.
    #[test]
    fn files_with_anything_in_them_are_read_or_have_an_error(
        cuts in prop::collection::vec((0..GUARD.len(), 0..40_usize, 0..GUARD.len(), "\\PC{0,3}"), 1..6)
    ) {
        for whole in [GUARD, DNS] {
            let mut text = whole.to_owned();
            for (from, len, to, between) in &cuts {
                let from = from % whole.len();
                let piece = &whole[from..(from + len).min(whole.len())];
                let to = (0..=to % text.len()).rev().find(|to| text.is_char_boundary(*to)).unwrap_or(0);
                let behind = (to..text.len()).nth(*len).filter(|behind| text.is_char_boundary(*behind)).unwrap_or(to);
                text.replace_range(to..behind, &format!("{between}{piece}"));
            }
            read_protocol(&text);
            read(&text, &[("office.txt", "192.0.2.0/24\n")]);
            read(GUARD, &[("dns", &text), ("office.txt", &text)]);
        }
    }
}

/// Conditions that say much the same, for messages that hide each other.
const CONDITIONS: [&str; 14] = [
    "a == 1",
    "a < 3",
    "a in 1..=2",
    "a != 1",
    "b == 0",
    "b >= 0x100",
    "c == 1 or a == 1",
    "not (c == 1 and b == 0)",
    "t == 'x' or t == 'y'",
    "len >= 4",
    "len in 3..=9",
    "rest(a) > 2",
    "end(t) <= len",
    "source_port != 1",
];

proptest! {
    /// What is shown of messages holds for packets.
    #[test]
    fn no_packet_is_a_message_that_is_hidden_and_cut_packets_are_what_is_said(
        messages in prop::collection::vec((prop::collection::vec(0..CONDITIONS.len(), 1..4), any::<bool>()), 2..6),
        packets in prop::collection::vec(prop::collection::vec(0..3_u8, 0..12), 40),
    ) {
        let mut text = "name = \"x\"\n[fields]\na = \"u8 @ 0\"\nb = \"u16 @ 2\"\nc = \"u8 @ a + 3\"\nt = \"text behind u8 @ 4\"\n".to_owned();
        for (at, (conditions, is_like)) in messages.iter().enumerate() {
            let when: Vec<_> = conditions.iter().map(|condition| CONDITIONS[*condition]).collect();
            writeln!(text, "[[message]]\nname = \"m{at}\"\nwhen = \"({})\"", when.join(") and (")).unwrap();
            if *is_like && at > 0 {
                writeln!(text, "like = \"m{}\"", at - 1).unwrap();
            }
        }
        let reading = read_protocol(&text);
        let protocol = reading.protocol.unwrap();
        let relations = Relations::of(&protocol, &mut { Relations::STEPS });
        for packet in &packets {
            let packet = Packet::whole(SocketAddr::from(([192, 0, 2, 1], 4000)), packet);
            if let Some(message) = protocol.message_of(&packet, Party::Client) {
                prop_assert!(!relations.hidden_by.contains_key(&message), "{text}{packet:?}");
                let warning = format!("no packet is '{}'", protocol.message(message).name);
                prop_assert!(reading.diagnostics.iter().all(|each| !each.message.contains(&warning)), "{text}{packet:?}");
            }
            for cut in &relations.cuts {
                let is = |id, packet: &Packet<'_>| protocol.message(id).when.of(packet, &protocol.fields).is_true();
                if is(cut.strict, &packet) {
                    let short = Packet::whole(packet.source, &packet.payload[..cut.len as usize]);
                    prop_assert!(!is(cut.strict, &short) && is(cut.wide, &short), "{cut:?} {text}{packet:?}");
                }
            }
        }
    }
}
