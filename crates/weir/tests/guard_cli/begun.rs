//! Guards to begin with, and the protocols that are shipped.

use std::fs;

use weir_guard::protocols;

use crate::{check, folder, guard, json};

#[test]
fn a_new_guard_is_one_without_fault_that_drops_nothing() {
    let folder = folder();
    let new = ["new", "--port", "53", "--protocol", "./letters.toml"];
    let printed = guard(folder.path(), &new);
    check(&printed, 0, &[]);
    check(&guard(folder.path(), &[&new[..], &["-o", "new.toml"]].concat()), 0, &[]);
    let written = fs::read_to_string(folder.path().join("new.toml")).expect("it is there");
    assert_eq!(written, printed.stdout);
    assert!(written.contains("\n    # \"reply\",\n"), "{written}");
    let service = json(&guard(folder.path(), &["check", "new.toml", "--json"]));
    assert_eq!((&service["mode"], &service["listen"]), (&"observe".into(), &"udp/53".into()));
    // What is there stays.
    check(
        &guard(folder.path(), &[&new[..], &["-o", "new.toml"]].concat()),
        2,
        &["new.toml is there already"],
    );
    assert_eq!(fs::read_to_string(folder.path().join("new.toml")).expect("it is there"), written);
}

#[test]
fn what_is_not_said_is_asked_at_a_terminal_alone() {
    let folder = folder();
    check(&guard(folder.path(), &["new"]), 2, &["--port is missing"]);
    check(&guard(folder.path(), &["new", "--port", "53"]), 2, &["--protocol is missing"]);
    check(&guard(folder.path(), &["new", "--port", "0", "--protocol", "./letters.toml"]), 2, &["--port"]);
    let unknown = guard(folder.path(), &["new", "--port", "53", "--protocol", "no-such", "-o", "x.toml"]);
    check(&unknown, 2, &["'no-such' can't be read", "weir ships none"]);
    assert!(!folder.path().join("x.toml").exists());
}

#[test]
fn protocols_are_listed_and_printed() {
    let folder = folder();
    let all = json(&guard(folder.path(), &["protocols", "--json"]));
    let names: Vec<_> = all.as_array().expect("a list").iter().map(|each| &each["protocol"]).collect();
    assert_eq!(names, protocols::ALL.iter().map(|shipped| shipped.name).collect::<Vec<_>>());
    for shipped in protocols::ALL {
        let ended = guard(folder.path(), &["protocols", shipped.name]);
        check(&ended, 0, &[]);
        assert_eq!(ended.stdout, shipped.text);
        let new = guard(folder.path(), &["new", "--port", "9", "--protocol", shipped.name, "-o", "new.toml"]);
        check(&new, 0, &[]);
        check(&guard(folder.path(), &["check", "new.toml"]), 0, &[]);
        fs::remove_file(folder.path().join("new.toml")).expect("it is there");
    }
    check(&guard(folder.path(), &["protocols", "no-such"]), 2, &["no protocol 'no-such' is shipped"]);
}
