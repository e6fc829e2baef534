//! Guards of many rules.

use std::fmt::Write as _;

use super::{LISTEN, guard_of, hooks, is_accepted, loaded};

/// Of each kind of rule, 200 in all: names, senders, limits by message, source and sender.
const RULES: [usize; 4] = [100, 40, 20, 40];

fn rules() -> String {
    let [names, senders, of_senders, of_sources] = RULES;
    let mut text = "protocol = 'dns'\naccept = [\n".to_owned();
    for number in 0..names {
        let _ = writeln!(text, "{{ message = 'query', when = \"name under {{'zone{number}.example'}}\" }},");
    }
    for number in 0..senders {
        let _ = writeln!(text, "{{ message = 'query', from = '10.{number}.0.0/16' }},");
    }
    text += "]\nlimit = [\n";
    for number in 0..of_senders {
        let from = format!("from = '192.168.{number}.0/24'");
        let _ = writeln!(
            text,
            "{{ message = 'query', {from}, per = 'source/32,/64', rate = '{}/s' }},",
            number + 1
        );
    }
    for number in 0..of_sources {
        let per = format!("per = 'source/{},/{}'", number % 20 + 13, number % 20 + 40);
        let message = ["query", "notify"][number / 20];
        let _ = writeln!(text, "{{ message = '{message}', {per}, rate = '{}/s' }},", number + 1);
    }
    text + "]\n"
}

pub(super) fn load_at_every_hook() {
    let guard = guard_of(&rules());
    assert_eq!(guard.accept.len() + guard.limits.len(), RULES.into_iter().sum::<usize>());
    // For an address (A, IN), below the last of the names and below none.
    let query = |zone: &str| {
        let head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3];
        [&head[..], b"www\x06", zone.as_bytes(), b"\x07example\0\0\x01\0\x01"].concat()
    };
    let source = "203.0.113.7:40000".parse().expect("an address");
    for hook in hooks() {
        let mut program = loaded(&guard, hook, LISTEN).unwrap_or_else(|error| panic!("{hook}: {error}"));
        program.set_lists(&guard).expect("there is room");
        for (zone, accepts) in [("zone99", true), ("zone00", false)] {
            // At the socket a test run has no source.
            let accepts = accepts && hook.layer() != weir_filters::Layer::Udp;
            assert_eq!(is_accepted(&program, hook, source, &query(zone)), accepts, "{zone} at {hook}");
        }
    }
}
