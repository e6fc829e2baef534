//! The tutorial, docs/guard.md, followed literally.

use std::fs;

use serde_json::Value;

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

/// What packages install as examples, and what the DaemonSet runs, with the capabilities that its container adds.
#[test]
fn examples_of_guards_have_no_fault_and_take_what_the_daemon_set_adds() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let folder = weir_testing::folder();
    let manifest = fs::read_to_string(format!("{examples}/kubernetes/weir-guard.yaml")).unwrap();
    let (_, text) = manifest.split_once("  dns.toml: |\n").expect("the ConfigMap's guard");
    let (text, _) = text.split_once("\n---").expect("another document follows");
    write(folder.path(), "kubernetes.toml", text);
    let mut guards = vec![folder.path().join("kubernetes.toml")];
    guards.extend(fs::read_dir(format!("{examples}/guards")).unwrap().map(|entry| entry.unwrap().path()));
    assert!(guards.len() > 4, "{guards:?}");
    for path in &guards {
        let ended = guard(folder.path(), &["check", "--json", path.to_str().unwrap()]);
        check(&ended, 0, &[]);
        assert_eq!(ended.stderr, "", "{}", path.display());
        let service: Value = serde_json::from_str(&ended.stdout).expect("one service");
        assert_eq!(service["mode"], "observe", "{}", path.display());
        if path == &guards[0] {
            let taken: Vec<_> = service["capabilities"].as_array().expect("a list").iter().collect();
            let added =
                manifest.split_once("add: ").and_then(|(_, rest)| rest.lines().next()).expect("a list");
            let added: Vec<String> = serde_json::from_str(added).expect("as JSON has it");
            assert!(
                added
                    .iter()
                    .map(|name| format!("CAP_{name}"))
                    .eq(taken.iter().map(|name| name.as_str().unwrap()))
            );
            let file = fs::read_to_string(format!("{examples}/../Containerfile")).unwrap();
            let names: Vec<_> = added.iter().map(|name| format!("cap_{}", name.to_lowercase())).collect();
            assert!(file.contains(&format!("\nARG CAPABILITIES={}\n", names.join(","))), "{names:?}");
        }
    }
}
