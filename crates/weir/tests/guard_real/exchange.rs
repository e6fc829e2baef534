//! An exchange: a server behind guards at all hooks, its clients, the capture of it, and what must be so.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use weir_filters::Hook;
use weir_hooks::{kernel_features, owner_of_udp_port};
use weir_lab::topology::{Net, Settings};
use weir_results::{net::Side, topology::Topology};
use weir_testing::{ControlGroup, Ended, folder, wait_until};

use crate::{
    guarded::{Counts, DROPPED, Guard, Judge},
    heard::{Heard, hex},
    processes::{Running, run},
    rows::Row,
};

/// Damaged payloads that programs and interpreter are asked about, of each port and hook.
const DAMAGED: usize = 4_000;

/// Frames, both ways.
const CAPTURE: &str = "tap.pcap";

/// What is sent last, to a socket that nobody guards.
const MARKER: &[u8] = b"that was all of it";

/// A pair with a server, its guards and a tap; fields are dropped in this order.
struct Place {
    /// A port's guard, and its programs in the order in which they see a packet.
    guards: Vec<(Guard, Vec<Judge>)>,
    _tap: Running,
    server: Option<Running>,
    net: Net,
    _group: ControlGroup,
    folder: tempfile::TempDir,
}

/// Has the row's clients speak to its server, and looks at all that was said.
pub(crate) fn goes_through(row: &Row) {
    let place = Place::of(row);
    let mut failures: Vec<String> =
        row.clients.iter().filter_map(|(line, said)| place.client_fails(line, said)).collect();
    place.settle();
    let (mut asked, mut answered) = (Counts::new(), Counts::new());
    for (guard, judges) in &place.guards {
        let heard = Heard::of(&place.path().join(CAPTURE), guard);
        let tried = place.tried(guard);
        let strange =
            heard.strange.iter().map(|payload| format!("no message of the service: {payload:.160}"));
        failures.extend(strange.take(3));
        for (number, judge) in judges.iter().enumerate() {
            let counts = judge.counts(guard);
            // What the first hook drops the others never see.
            let seen = tried.iter().filter(|(name, _)| number == 0 || *name != DROPPED);
            if !counts.iter().eq(seen) {
                failures.push(format!("{}: {counts:?}, where `weir guard try` has {tried:?}", judge.hook));
            }
        }
        let refused: Vec<_> =
            heard.asked.iter().filter(|frame| !guard.accepts(frame.source, frame.payload())).collect();
        if refused.len() > row.discarded {
            failures.extend(
                refused
                    .iter()
                    .take(3)
                    .map(|frame| format!("a client's, dropped: {:.160}", hex(frame.payload()))),
            );
        }
        asked.extend(tried);
        answered.extend(heard.answers);
    }
    let lacks = |counts: &Counts, wanted: &[&str], who| {
        let lacking: Vec<_> = wanted.iter().filter(|name| !counts.contains_key(**name)).collect();
        (!lacking.is_empty()).then(|| format!("{who} never sent {lacking:?}, but {counts:?}"))
    };
    failures.extend(lacks(&asked, row.asked, "clients"));
    failures.extend(lacks(&answered, row.answered, "the service"));
    if !failures.is_empty() {
        let said = place.server.as_ref().map(Running::said).unwrap_or_default();
        panic!("{}\nthe server said:\n{said}", failures.join("\n"));
    }
    place.damage();
}

impl Place {
    /// All attached, and the server up.
    fn of(row: &Row) -> Self {
        let folder = folder();
        let path = folder.path();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("servers may be somebody else");
        for (name, text) in row.files {
            fs::write(path.join(name), text).expect("the folder is ours");
        }
        let group = ControlGroup::new();
        let net =
            Net::up(Topology::Veth, &Settings { mtu: row.mtu, ..Settings::default() }).expect("root may");
        let judge = |hook, guard: &Guard| {
            net.within(Side::Server, || Judge::at(hook, guard, &group)).expect("root may enter")
        };
        let listen = |port: &u16| SocketAddr::new(net.address(Side::Server), *port);
        let mut guards: Vec<_> =
            row.ports.iter().map(|port| (Guard::of(row, listen(port)), Vec::new())).collect();
        for (number, (guard, judges)) in guards.iter_mut().enumerate() {
            // A driver takes one program: the first port's.
            if number == 0 && kernel_features().xdp_frags {
                judges.push(judge(Hook::Xdp, guard));
            }
            judges.push(judge(Hook::Tc, guard));
            if !row.server.is_empty() {
                judges.push(judge(Hook::Cgroup, guard));
            }
        }
        // Where clients are, so that nothing is dropped before it.
        let line =
            format!("exec tcpdump -Z root -n -i {} --immediate-mode -U -w {CAPTURE}", Side::Client.name());
        let mut tap = Running::start(&net, Side::Client, path, "tap", &line);
        tap.wait_until("tcpdump listens", |said| said.contains("listening on"));
        let server = (!row.server.is_empty()).then(|| serve(&net, &group, path, row));
        if row.has_one_socket {
            guards.iter_mut().for_each(|(guard, judges)| judges.push(judge(Hook::Socket, guard)));
        }
        Self { guards, _tap: tap, server, net, _group: group, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a client; what is wrong with how it ended.
    fn client_fails(&self, line: &str, said: &str) -> Option<String> {
        let Ended { status, stdout, stderr } = run(&self.net, self.path(), line);
        let is_well = status == Some(0) && (stdout.contains(said) || stderr.contains(said));
        (!is_well).then(|| format!("{line}\nended with {status:?}:\n{stdout}{stderr}"))
    }

    /// Waits until everything that was sent to the server has been judged, and is in the capture: packets stay in order.
    fn settle(&self) {
        let bind = |side| move || UdpSocket::bind((self.net.address(side), 0)).expect("a free port");
        let within = |side| self.net.within(side, bind(side)).expect("root may enter");
        let (to, from) = (within(Side::Server), within(Side::Client));
        to.set_read_timeout(Some(Duration::from_secs(10))).expect("it can be");
        from.send_to(MARKER, to.local_addr().expect("it is bound")).expect("it is sent");
        let mut buffer = [0; MARKER.len()];
        to.recv(&mut buffer).expect("nobody drops it");
        wait_until("the capture has the marker", || {
            let captured = fs::read(self.path().join(CAPTURE)).expect("it was made");
            captured.windows(MARKER.len()).any(|bytes| bytes == MARKER)
        });
    }

    /// What `weir guard try` says of the capture.
    fn tried(&self, guard: &Guard) -> Counts {
        fs::write(self.path().join("guard.toml"), &guard.text).expect("the folder is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["guard", "try", "guard.toml", "--pcap", CAPTURE, "--json"]).current_dir(self.path());
        let ended = Ended::from(command.output().expect("the binary starts"));
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let mut counts = Counts::new();
        for each in report["services"][0]["decisions"].as_array().expect("a list") {
            let is_dropped = each["dropped"].as_bool().expect("a word");
            let name = if is_dropped { DROPPED } else { each["message"].as_str().expect("a message") };
            *counts.entry(name.to_owned()).or_default() += each["packets"].as_u64().expect("a count");
        }
        counts
    }

    /// Damages what clients sent: programs decide as the interpreter does, and what it drops, each hook drops.
    fn damage(mut self) {
        for (guard, judges) in std::mem::take(&mut self.guards) {
            let heard = Heard::of(&self.path().join(CAPTURE), &guard);
            let mut rng = StdRng::seed_from_u64(u64::from(guard.listen.port()));
            let mut bad = None;
            // A test run takes no more than a page.
            let frames: Vec<_> = heard.asked.iter().filter(|frame| frame.payload().len() < 1500).collect();
            for _ in 0..DAMAGED {
                let frame = frames[rng.random_range(0..frames.len())];
                let payload = damaged(frame.payload(), &mut rng);
                let is_accepted = guard.accepts(frame.source, &payload);
                for judge in judges.iter().filter(|judge| matches!(judge.hook, Hook::Xdp | Hook::Tc)) {
                    judge.decides(&frame.with(&payload), is_accepted);
                }
                bad = bad.or((!is_accepted).then_some(payload));
            }
            let bad = bad.unwrap_or_else(|| panic!("{DAMAGED} damaged payloads are messages"));
            let from = self.net.within(Side::Client, || UdpSocket::bind((self.net.address(Side::Client), 0)));
            let from = from.expect("root may enter").expect("a free port");
            // The first hook drops it; once its program is gone, the next.
            for judge in judges {
                let before = judge.dropped(&guard);
                from.send_to(&bad, guard.listen).expect("it is sent");
                wait_until(&format!("{} drops {}", judge.hook, bad.escape_ascii()), || {
                    judge.dropped(&guard) == before + 1
                });
            }
        }
    }
}

/// Starts the row's server, and waits until its ports are open.
pub(crate) fn serve(net: &Net, group: &ControlGroup, folder: &Path, row: &Row) -> Running {
    let mut server = group.within(|| Running::start(net, Side::Server, folder, "server", row.server));
    for port in row.ports {
        let is_open = || match owner_of_udp_port(*port) {
            Ok(_) => true,
            Err(error) => error.to_string().contains("share it"),
        };
        server.wait_until(&format!("port {port} is open"), |_| {
            net.within(Side::Server, is_open).expect("root may enter")
        });
    }
    server.wait_until(&format!("it says '{}'", row.ready), |said| said.contains(row.ready));
    server
}

/// A payload that is changed in a byte or three, cut short, or longer.
fn damaged(payload: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut damaged = payload.to_vec();
    for _ in 0..rng.random_range(1..4) {
        // What protocols look at stands mostly at the beginning.
        let most = if rng.random_bool(0.7) { damaged.len().min(16) } else { damaged.len() };
        let at = rng.random_range(0..most.max(1));
        match rng.random_range(0..5) {
            0 => damaged.truncate(at),
            1 => damaged.push(rng.random()),
            2 if at < damaged.len() => damaged[at] ^= 1 << rng.random_range(0..8),
            _ if at < damaged.len() => damaged[at] = rng.random(),
            _ => {}
        }
    }
    damaged
}
