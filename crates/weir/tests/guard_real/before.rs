//! `weir guard run` before real servers, which know nothing of it: their clients lose nothing, and garbage doesn't come to them.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
};

use serde_json::Value;
use weir_filters::Hook;
use weir_hooks::kernel_features;
use weir_lab::topology::{Net, Settings};
use weir_results::{net::Side, topology::Topology};
use weir_testing::{ControlGroup, Group, folder};

use crate::{
    exchange::serve,
    guarded::Guard,
    processes::{Running, run},
    rows::{self, Row},
};

/// With two sockets, and with one.
pub(crate) fn tests() -> Group {
    let named = |name: &str| rows::all().find(|row| row.name == name).expect("it is a row");
    let threads = "sed -i 's/num-threads: 1/num-threads: 2/' unbound.conf; exec unbound -d -c unbound.conf";
    let hooks = [Hook::Socket, Hook::Cgroup, Hook::Tc, Hook::Xdp];
    let mut group = Group::default();
    for hook in hooks.into_iter().filter(|hook| *hook != Hook::Xdp || kernel_features().xdp_frags) {
        let unbound = Row { server: threads, ..*named("unbound") };
        group.push(format!("unbound_runs_behind_a_guard_at_{hook}"), move || is_guarded(&unbound, 2, hook));
        group.push(format!("knot_runs_behind_a_guard_at_{hook}"), move || is_guarded(named("knot"), 1, hook));
    }
    group
}

const GARBAGE: u64 = 200;

fn is_guarded(row: &Row, sockets: usize, hook: Hook) {
    let folder = folder();
    let path = folder.path();
    for (name, text) in row.files {
        fs::write(path.join(name), text).expect("the folder is ours");
    }
    let group = ControlGroup::new();
    let net = Net::up(Topology::Veth, &Settings::default()).expect("root may");
    let _server = serve(&net, &group, path, row);
    let listen = SocketAddr::new(net.address(Side::Server), row.ports[0]);
    let text = Guard::of(row, listen).text;
    let from = || UdpSocket::bind((net.address(Side::Client), 0)).expect("a free port");
    let from = net.within(Side::Client, from).expect("root may enter");
    let interfaces = match hook {
        Hook::Tc | Hook::Xdp => format!("interfaces = [\"{}\"]\n", Side::Server.name()),
        _ => String::new(),
    };
    fs::write(path.join("guard.toml"), format!("{text}at = \"{hook}\"\n{interfaces}")).expect("our folder");
    let line = "exec $WEIR guard run guard.toml --summary counts.json";
    let mut guard = Running::start(&net, Side::Server, path, "guard", line);
    guard.wait_until("it stands there", |said| said.contains("weir: ready: guarding tried"));
    for _ in 0..GARBAGE {
        from.send_to(b"garbage", listen).expect("it is sent");
    }
    for (line, said) in row.clients {
        let ended = run(&net, path, line);
        let is_well = ended.status == Some(0) && (ended.stdout + &ended.stderr).contains(said);
        assert!(is_well, "at {hook}: {line}\n{}", guard.said());
    }
    // It ends here.
    drop(guard);
    let counts = fs::read(path.join("counts.json")).expect("it was written");
    let counts: Value = serde_json::from_slice(&counts).expect("JSON");
    let service = &counts["services"][0];
    let dropped = service["verdicts"]["dropped"].as_u64().expect("a number");
    let most = GARBAGE + row.discarded as u64;
    assert!((GARBAGE..=most).contains(&dropped), "at {hook}: {counts}");
    assert!(
        service["verdicts"]["accepted"].as_u64() >= Some(row.clients.len() as u64),
        "at {hook}: {counts}"
    );
    let places = service["attached_to"].as_array().expect("a list").len();
    assert_eq!(places, if hook == Hook::Socket { sockets } else { 1 }, "at {hook}: {counts}");
}
