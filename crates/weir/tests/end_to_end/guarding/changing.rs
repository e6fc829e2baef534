//! Rules that change while a guard runs and packets come.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use weir_testing::{ControlGroup, Ended, Test, scaled, send};
use weir_wire::Request;

use super::{
    at_every_hook,
    guard::{Guard, PORT, at, filter_on, invalid, serve},
    keeping,
};
use crate::{
    guards::{ENFORCE, bag, send_some},
    hooks::in_namespace,
    running::ask,
};

pub(super) const TESTS: &[Test] = &[
    ("rules_change_while_a_guard_runs_at_every_hook", rules_change_at_every_hook),
    ("no_packet_is_undecided_while_rules_change", no_packet_is_undecided),
    ("buckets_and_known_sources_outlive_other_rules", what_is_remembered_stays),
    ("services_come_and_go_with_the_file_of_a_guard", services_come_and_go),
    ("lists_of_a_running_guard_are_followed", lists_are_followed),
    ("sources_are_blocked_and_allowed_by_command", sources_are_listed_by_command),
    ("what_is_killed_behind_a_change_is_replaced_by_the_next", what_is_killed_is_replaced),
    ("what_is_kept_is_taken_over_by_the_next_guard_at_every_hook", keeping::is_taken_over),
];

const GET: Request = Request::Get { key: 10 };
const DELETE: Request = Request::Delete { key: 11 };

#[track_caller]
fn done(ended: &Ended, did: &str) {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(did), "{ended:?}");
}

/// What a record says of its first service.
pub(super) fn verdicts(record: &Value) -> &Value {
    &record["services"][0]["verdicts"]
}

fn rules_change_at_every_hook() {
    at_every_hook(move |hook| {
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        let rules = bag(&format!("at = \"{hook}\""));
        let mut guard = Guard::start(&rules, &[]);
        // It observes.
        assert_eq!(send_some(&server).as_deref(), Some("10"), "at {hook}");
        done(&guard.asked("enforce", &["bag"]), "bag: enforce from now on");
        done(&guard.asked("enforce", &["bag"]), "nothing has changed");
        assert_eq!(send_some(&server).as_deref(), Some("20"), "at {hook}");
        assert!(guard.asked("status", &[]).stdout.contains("enforce by command"));

        // What was commanded goes on behind other rules.
        guard.rewrite(&rules.replace("\"get\"]", "\"get\", \"delete\"]"));
        done(&guard.asked("reload", &[]), "bag has other rules");
        done(&guard.asked("reload", &[]), "nothing has changed");
        assert_eq!(send_some(&server).as_deref(), Some("30"), "at {hook}");

        // What is wrong changes nothing, and is shown in its line.
        guard.rewrite(&rules.replace("\"get\"]", "\"got\"]"));
        let ended = guard.asked("reload", &[]);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("\"got\"]") && ended.stderr.contains("^^^"), "{ended:?}");
        kill(Pid::from_raw(guard.child.id() as i32), Signal::SIGHUP).expect("it is our child");
        guard.wait_until_said("weir: not reloaded, the rules before hold on");
        assert_eq!(send_some(&server).as_deref(), Some("40"), "at {hook}");

        // A mode that the file says anew is taken.
        guard.rewrite(&rules.replace("protocol", "mode = \"enforce\"\nprotocol"));
        kill(Pid::from_raw(guard.child.id() as i32), Signal::SIGHUP).expect("it is our child");
        guard.wait_until_said("weir: reloaded: bag has other rules");
        assert!(!guard.asked("status", &[]).stdout.contains("by command"));
        assert_eq!(send_some(&server).as_deref(), Some("50"), "at {hook}");
        done(&guard.asked("observe", &["bag"]), "bag: observe from now on");
        assert_eq!(send_some(&server).as_deref(), Some("60"), "at {hook}");

        let (record, _) = guard.ended();
        // Six times 31: while it observed all passed, of the others what the rules of then accept.
        let dropped = 20 + 10 + 10 + 20;
        assert_eq!(*verdicts(&record), json!({"accepted": 6 * 31 - dropped, "dropped": dropped}), "{record}");
        let counts = record["services"][0]["decisions"].as_array().expect("a list");
        let of = |decision: &str, dropped: bool| {
            let rows = counts.iter().filter(|row| row["decision"] == decision && row["dropped"] == dropped);
            rows.filter_map(|row| row["packets"].as_u64()).sum::<u64>()
        };
        assert_eq!((of("unwelcome", false), of("unwelcome", true)), (20, 20), "{record}");
        assert_eq!((of("no-message", false), of("no-message", true)), (20, 40), "{record}");
        assert_eq!(of("accepted", false), 6 * 11 + 20, "{record}");
        assert_eq!(invalid(server), "20", "at {hook}");
    });
}

fn no_packet_is_undecided() {
    let rounds = scaled(20).max(2);
    at_every_hook(move |hook| {
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        let guard = Guard::start(&at(hook), &[]);
        let is_over = AtomicBool::new(false);
        let sent = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let socket = server.socket();
                let mut sent = 0_u64;
                while !is_over.load(Ordering::Relaxed) {
                    send(&socket, b"BADBADB");
                    sent += 1;
                }
                sent
            });
            for _ in 0..rounds {
                done(&guard.asked("observe", &["bag"]), "observe");
                done(&guard.asked("enforce", &["bag"]), "enforce");
            }
            is_over.store(true, Ordering::Relaxed);
            sender.join().expect("it doesn't panic")
        });
        let (record, _) = guard.ended();
        let [accepted, dropped] = ["accepted", "dropped"].map(|fate| verdicts(&record)[fate].as_u64());
        let (accepted, dropped) = (accepted.expect("a number"), dropped.expect("a number"));
        assert!(accepted > 0 && dropped > 0, "at {hook}: {record}");
        assert_eq!(accepted + dropped, sent, "at {hook}: {record}");
    });
}

fn what_is_remembered_stays() {
    at_every_hook(move |hook| {
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        // A GET may come from those that have been answered, and four from anybody in a day; STOP from nobody.
        let rules = bag(&format!(
            "{ENFORCE}\nat = \"{hook}\"\nknown = {{ after = \"count\", by = \"source/32,/64\", for = \"1h\" }}\n\
             limit = [{{ message = \"get\", per = \"source/32,/64\", rate = \"1/h\", burst = 4 }}, \
             {{ message = \"put\", per = \"all\", rate = \"1/h\", burst = 4 }}]"
        ))
        .replace("\"put\", \"get\"", "\"put\", \"get\", { message = \"delete\", from = \"known\" }");
        let guard = Guard::start(&rules, &[]);
        let socket = server.socket();
        for _ in 0..3 {
            send(&socket, &Request::Put { key: 10, value: 1 }.to_bytes());
            assert!(ask(&socket, &GET.to_bytes()).is_some(), "at {hook}");
        }
        // The limits have other numbers then.
        let own = "limit = [{ message = \"get\"";
        guard.rewrite(&rules.replace(
            own,
            &own.replace('[', "[{ per = \"source/24,/48\", rate = \"900/s\", burst = 900 }, "),
        ));
        done(&guard.asked("reload", &[]), "bag has other rules");
        // The source is known still, and of each limit one token is left.
        for _ in 0..3 {
            send(&socket, &DELETE.to_bytes());
            send(&socket, &GET.to_bytes());
            send(&socket, &Request::Put { key: 10, value: 1 }.to_bytes());
        }
        let (record, _) = guard.ended();
        let counts = record["services"][0]["decisions"].as_array().expect("a list");
        let of = |decision: &str, message: &str| {
            let rows = counts.iter().filter(|row| row["decision"] == decision && row["message"] == message);
            rows.filter_map(|row| row["packets"].as_u64()).sum::<u64>()
        };
        assert_eq!((of("accepted", "get"), of("over-limit", "get")), (4, 2), "at {hook}: {record}");
        assert_eq!((of("accepted", "put"), of("over-limit", "put")), (4, 2), "at {hook}: {record}");
        assert_eq!((of("accepted", "delete"), of("unwelcome", "delete")), (3, 0), "at {hook}: {record}");
    });
}

fn services_come_and_go() {
    in_namespace(|| {
        let other = PORT + 1;
        let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
        let neighbour = serve(&format!("127.0.0.1:{other}"), &[]);
        // What both take is kept: the second one may go to the socket, too.
        let (first, second) = (at("socket"), at("tc"));
        let second = second.replace("12345", &other.to_string()).replace("\"bag\"\nl", "\"other\"\nl");
        let both = format!("{first}\n{second}");
        let guard = Guard::start(&both, &[]);
        for server in [&server, &neighbour] {
            assert_eq!(send_some(server).as_deref(), Some("10"));
        }
        guard.rewrite(&first);
        done(
            &guard.asked("reload", &[]),
            "other isn't guarded there any more: 11 packets passed, 20 were dropped",
        );
        assert_eq!(send_some(&neighbour).as_deref(), Some("20"));
        guard.rewrite(&both);
        done(&guard.asked("reload", &[]), "other is guarded");
        assert_eq!(send_some(&neighbour).as_deref(), Some("30"));

        // Elsewhere, and the second one alone.
        guard.rewrite(&second.replace("at = \"tc\"", "at = \"socket\""));
        let ended = guard.asked("reload", &[]);
        done(&ended, "bag isn't guarded there any more: 11 packets passed, 20 were dropped");
        done(&ended, "other isn't guarded there any more: 11 packets passed, 20 were dropped");
        assert_eq!(send_some(&server).as_deref(), Some("20"));
        assert_eq!(send_some(&neighbour).as_deref(), Some("40"));

        // One that can't be guarded leaves things as they were.
        guard.rewrite(&second.replace("at = \"tc\"", "at = \"tc\"\ninterfaces = [\"nowhere\"]"));
        let ended = guard.asked("reload", &[]);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("nowhere"), "{ended:?}");
        assert_eq!(send_some(&neighbour).as_deref(), Some("50"));

        let (record, _) = guard.ended();
        let services = record["services"].as_array().expect("a list").iter();
        let told: Vec<_> = services
            .map(|each| (each["service"].clone(), each["hook"].clone(), each["verdicts"]["dropped"].clone()))
            .collect();
        let row = |name: &str, hook: &str, dropped: u64| (json!(name), json!(hook), json!(dropped));
        assert_eq!(
            told,
            [
                row("other", "tc", 20),
                row("other", "tc", 20),
                row("bag", "socket", 20),
                row("other", "socket", 20),
                row("other", "socket", 20)
            ]
        );
        assert_eq!((invalid(server), invalid(neighbour)), ("10".to_owned(), "10".to_owned()));
    });
}

fn lists_are_followed() {
    in_namespace(|| {
        let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
        let files = weir_testing::folder();
        let list = files.path().join("blocked.txt");
        std::fs::write(&list, "192.0.2.0/24\n").expect("our folder");
        let mut guard =
            Guard::start(&bag(&format!("{ENFORCE}\nat = \"tc\"\nblock = [\"@{}\"]", list.display())), &[]);
        let socket = server.socket();
        send(&socket, &Request::Put { key: 10, value: 1 }.to_bytes());
        assert_eq!(ask(&socket, &GET.to_bytes()).as_deref(), Some("1"));

        std::fs::write(&list, "192.0.2.0/24\n127.0.0.0/8\n").expect("our folder");
        guard.wait_until_said("weir: lists have changed: bag has other lists");
        send(&socket, &GET.to_bytes());

        // One that is wrong, or that goes, changes nothing.
        std::fs::write(&list, "nobody\n").expect("our folder");
        guard.wait_until_said("weir: lists have changed, and those before hold on");
        send(&socket, &GET.to_bytes());
        std::fs::remove_file(&list).expect("our folder");
        guard.wait_until_said("No such file");
        send(&socket, &GET.to_bytes());

        // In the place of the one that is gone.
        let new = files.path().join("new.txt");
        std::fs::write(&new, "192.0.2.0/24\n").expect("our folder");
        std::fs::rename(&new, &list).expect("our folder");
        weir_testing::wait_until("it is accepted again", || {
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("it can be");
            send(&socket, &GET.to_bytes());
            socket.recv(&mut [0; 64]).is_ok()
        });
        let (record, _) = guard.ended();
        let counts = record["services"][0]["decisions"].as_array().expect("a list");
        let blocked = counts.iter().find(|row| row["decision"] == "blocked").expect("some were");
        assert!(blocked["packets"].as_u64().is_some_and(|packets| packets >= 3), "{record}");
    });
}

fn sources_are_listed_by_command() {
    at_every_hook(move |hook| {
        let group = ControlGroup::new();
        let server = group.within(|| serve(&format!("127.0.0.1:{PORT}"), &[]));
        let guard = Guard::start(&at(hook), &[]);
        done(
            &guard.asked("block", &["bag", "127.0.0.0/8", "192.0.2.1"]),
            "2 prefixes blocked; 2 by command in all",
        );
        send(&server.socket(), &GET.to_bytes());
        assert!(guard.asked("status", &[]).stdout.contains("blocked by command: 127.0.0.0/8, 192.0.2.1/32"));
        // Who is allowed is so before who is blocked.
        done(&guard.asked("allow", &["bag", "127.0.0.1"]), "1 prefix allowed");
        send(&server.socket(), b"BADBADB");
        done(&guard.asked("disallow", &["bag", "127.0.0.1"]), "allowed no more");
        done(
            &guard.asked("unblock", &["bag", "127.0.0.0/8"]),
            "1 prefix blocked no more; 1 by command in all",
        );
        done(&guard.asked("unblock", &["bag", "127.0.0.0/8"]), "nothing has changed");
        assert_eq!(send_some(&server).as_deref(), Some("10"), "at {hook}");
        let ended = guard.asked("block", &["bog", "192.0.2.1"]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        let (record, _) = guard.ended();
        assert_eq!(*verdicts(&record), json!({"accepted": 12, "dropped": 21}), "at {hook}: {record}");
        assert_eq!(invalid(server), "1", "at {hook}");
    });
}

/// Which program a socket has is written down anew with each change.
fn what_is_killed_is_replaced() {
    in_namespace(|| {
        let server = serve(&format!("127.0.0.1:{PORT}"), &[]);
        let mut guard = Guard::start(&at("socket"), &[]);
        done(&guard.asked("observe", &["bag"]), "observe");
        guard.child.kill().expect("it is our child");
        guard.child.wait().expect("it is our child");
        assert!(filter_on(PORT).is_some());
        let guard = Guard::start(&at("socket"), &[]);
        assert_eq!(send_some(&server).as_deref(), Some("10"));
        let (record, _) = guard.ended();
        assert_eq!(*verdicts(&record), json!({"accepted": 11, "dropped": 20}), "{record}");
        assert_eq!(filter_on(PORT), None);
    });
}
