//! The tutorial, docs/guard.md, followed literally.

use std::fs;

use crate::{
    captures::{ETHERNET, pcap, udp},
    check, guard, write,
};

/// www.example.org, A, and an answer's header, which is no query.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01";
const NO_QUERY: &[u8] = b"\x12\x34\x81\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03org\0\0\x01\0\x01";

#[test]
fn the_tutorial_works_as_it_is_written() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guard.md")).unwrap();
    let folder = weir_testing::folder();
    let frames = [
        udp(0, "198.51.100.1:4000", "192.0.2.1:53", QUERY),
        udp(1, "198.51.100.2:4000", "192.0.2.1:53", NO_QUERY),
    ];
    write(folder.path(), "mine.pcap", pcap(ETHERNET, &frames, false, false));
    let (mut name, mut block) = (None, None::<(&str, String)>);
    let mut commands = 0;
    for line in page.lines() {
        if let Some((language, text)) = &mut block {
            if line != "```" {
                *text += &format!("{line}\n");
                continue;
            }
            match (*language, name.take()) {
                ("toml", Some(name)) => write(folder.path(), name, text),
                ("sh", _) => {
                    let of_weir = text.lines().filter_map(|line| line.strip_prefix("weir guard "));
                    for command in of_weir {
                        commands += 1;
                        let ended = guard(folder.path(), &command.split(' ').collect::<Vec<_>>());
                        check(&ended, 0, &[]);
                    }
                }
                _ => {}
            }
            block = None;
        } else if let Some(language) = line.strip_prefix("```") {
            block = Some((language, String::new()));
        } else if let Some(file) = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->")) {
            name = Some(file);
        }
    }
    assert_eq!(commands, 6);
    assert!(fs::read(folder.path().join("dns.o")).unwrap().starts_with(b"\x7fELF"));
    let dropped = fs::read(folder.path().join("dropped.pcap")).unwrap();
    assert!(dropped.windows(NO_QUERY.len()).any(|window| window == NO_QUERY));
    assert!(!dropped.windows(QUERY.len()).any(|window| window == QUERY));
}
