//! The protocols that weir ships, held to packets that were worked out by hand.

use std::{collections::BTreeMap, fs, path::PathBuf};

use weir_guard::{
    meaning::{Packet, Party, Protocol},
    protocols::{self, Shipped, Vector},
};

#[test]
fn the_folder_of_protocols_and_the_list_of_shipped_ones_are_the_same() {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<String> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    let shipped: Vec<&str> = protocols::ALL.iter().map(|shipped| shipped.name).collect();
    assert_eq!(found, shipped);
}

#[test]
fn a_shipped_protocol_is_found_by_the_name_that_it_has() {
    for shipped in protocols::ALL {
        assert_eq!(protocols::find(shipped.name), Some(shipped));
        assert_eq!(read(shipped, &[]).name, shipped.name);
    }
    assert_eq!(protocols::find("gopher"), None);
}

#[test]
fn every_vector_is_the_message_that_it_says() {
    for shipped in protocols::ALL {
        let protocol = read(shipped, &[]);
        for Vector { line, message, payload, .. } in shipped.vectors() {
            let expected = protocol.messages.iter().find(|each| each.name == message);
            let by = expected.and_then(|each| each.by).unwrap_or(Party::Client);
            let found = name_of(&protocol, &payload, by);
            assert_eq!(found, message, "protocols/{}.vectors, line {line}", shipped.name);
        }
    }
}

#[test]
fn every_message_has_a_vector_and_every_protocol_one_that_is_none() {
    for shipped in protocols::ALL {
        let vectors: Vec<_> = shipped.vectors().collect();
        assert!(vectors.iter().all(|vector| !vector.source.is_empty()), "{}: from where?", shipped.name);
        assert!(vectors.len() >= 6, "{} has {} vectors", shipped.name, vectors.len());
        let protocol = read(shipped, &[]);
        let messages = protocol.messages.iter().map(|message| message.name.as_str());
        for message in messages.chain(["none"]) {
            let is_there = vectors.iter().any(|vector| vector.message == message);
            assert!(is_there, "{} has no vector for {message}", shipped.name);
        }
    }
}

#[test]
fn constants_that_a_guard_sets_make_messages_narrower() {
    let short = |bytes: usize| [&[0x40][..], &vec![0; bytes - 1]].concat();
    let reset = |wrapped: usize| [&[0x38, 1][..], &vec![0; 12 + wrapped]].concat();
    let ack = |key: u8, bytes: usize| [&[0x28 | key, 1][..], &vec![0; bytes - 2]].concat();
    let cases: [Case<'_>; 11] = [
        ("quic", &[], short(21), "short"),
        ("quic", &[("id_least", 8), ("id_most", 8)], short(28), "none"),
        ("quic", &[("id_least", 8), ("id_most", 8)], short(29), "short"),
        ("quic", &[("fixed_bit", 1)], vec![0; 21], "none"),
        ("openvpn", &[("wrap_least", 40), ("wrap_most", 40)], reset(0), "none"),
        ("openvpn", &[("wrap_least", 40), ("wrap_most", 40)], reset(40), "reset"),
        ("openvpn", &[("wrap_least", 40), ("wrap_most", 40)], reset(41), "none"),
        ("openvpn", &[("wrap_least", 0), ("wrap_most", 0)], ack(0, 62), "none"),
        // With dynamic tls-crypt.
        ("openvpn", &[("wrap_least", 0), ("wrap_most", 0)], ack(1, 62), "ack"),
        ("openvpn", &[("wrap_least", 72), ("wrap_most", 72)], ack(1, 62), "ack"),
        ("ntp", &[("most", 60)], [&[0x23][..], &[0; 67]].concat(), "none"),
    ];
    for (name, constants, payload, message) in cases {
        let protocol = read(protocols::find(name).unwrap(), constants);
        let bytes = payload.len();
        assert_eq!(
            name_of(&protocol, &payload, Party::Client),
            message,
            "{name} with {constants:?}, {bytes} bytes"
        );
    }
}

/// A protocol, what its constants are set to, a payload, and which message that is.
type Case<'a> = (&'a str, &'a [(&'a str, u64)], Vec<u8>, &'a str);

/// A shipped protocol, of which the reader must have nothing to say.
fn read(shipped: &Shipped, constants: &[(&str, u64)]) -> Protocol {
    let constants: BTreeMap<String, u64> =
        constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let reading = weir_guard::text::protocol(shipped.text, &constants);
    let found = &reading.diagnostics;
    assert!(found.is_empty(), "{}", found.display(shipped.name, shipped.text.as_bytes()));
    reading.protocol.expect("nothing is wrong with it")
}

/// What a payload is that this party sends, from a port that is no service's.
fn name_of<'a>(protocol: &'a Protocol, payload: &[u8], by: Party) -> &'a str {
    let packet = Packet::whole("192.0.2.1:40000".parse().unwrap(), payload);
    protocol.message_of(&packet, by).map_or("none", |message| &protocol.message(message).name)
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "protocols"].iter().collect()
}
