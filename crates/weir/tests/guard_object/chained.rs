//! A guard beside another XDP program, by xdp-loader, and its lists, by bpftool: datagrams on a veth pair.

use std::{
    fs,
    net::{IpAddr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use weir_filters::Hook;
use weir_lab::topology::{Net, Settings};
use weir_results::{net::Side, topology::Topology};
use weir_testing::{Test, patience, with_bpffs};

use crate::{export, folder, tool, weir};

/// Where libxdp has a dispatcher.
pub(crate) const CHAINED: &[Test] =
    &[("xdp_loader_runs_a_guard_before_another_program_or_behind_it", xdp_loader_chains_it)];

pub(crate) const ALONE: &[Test] = &[
    ("xdp_loader_attaches_it_and_reads_when_it_runs", xdp_loader_attaches_it),
    ("until_its_lists_are_filled_it_lets_nothing_in", until_its_lists_are_filled_it_lets_nothing_in),
];

const SERVICE: u16 = 53;
const NEIGHBOUR: u16 = 54;
/// Where no program drops anything.
const MARKERS: u16 = 55;

/// Drops datagrams without options to [`NEIGHBOUR`] by IPv4. It doesn't say when it runs.
const OTHER: &str = "\
.program other xdp
    mov r0, 2
    ldxw r2, [r1]
    ldxw r3, [r1 + 4]
    mov r4, r2
    add r4, 42
    jgt r4, r3, done
    ldxb r5, [r2 + 37]
    jne r5, 54, done
    mov r0, 1
done:
    exit
";

/// A veth pair with sockets at the server's end, and a folder with a guard's object.
struct Pair {
    net: Net,
    sockets: [(u16, UdpSocket); 3],
    folder: TempDir,
    bpffs: PathBuf,
}

impl Pair {
    fn up(guard_lines: &str, bpffs: &Path) -> Self {
        let net = Net::up(Topology::Veth, &Settings::default()).expect("root may");
        let bind = |port| {
            let socket = UdpSocket::bind(("::", port)).expect("nobody has it there");
            socket.set_read_timeout(Some(patience(Duration::from_secs(20)))).expect("it can be");
            (port, socket)
        };
        let sockets = net.within(Side::Server, || [SERVICE, NEIGHBOUR, MARKERS].map(bind)).expect("root may");
        let folder = folder(guard_lines);
        export(folder.path(), Hook::Xdp);
        Self { net, sockets, folder, bpffs: bpffs.to_owned() }
    }

    /// Runs a tool at the server's end. `$BPFFS` and `$INTERFACE` stand for what they are there.
    #[track_caller]
    fn tool(&self, command: &str) -> String {
        let command = command.replace("$BPFFS", &self.bpffs.display().to_string());
        let command = command.replace("$INTERFACE", Side::Server.name());
        self.net.within(Side::Server, || tool(self.folder.path(), &command)).expect("root may")
    }

    fn xdp_loader(&self, words: &str) -> String {
        self.tool(&format!("env LIBXDP_BPFFS=$BPFFS xdp-loader {words}"))
    }

    /// Sends datagrams and gives the ports and payloads of those that arrive. None overtakes another on a pair: when a marker
    /// has come, all have.
    fn arriving(&self, is_v4: bool, datagrams: &[(u16, &'static str)]) -> Vec<(u16, String)> {
        let address = |side: Side| -> IpAddr { if is_v4 { side.ipv4().into() } else { side.ipv6().into() } };
        let send = || {
            let socket = UdpSocket::bind((address(Side::Client), 0)).expect("a free port");
            for (port, payload) in datagrams.iter().chain(&[(MARKERS, "marker")]) {
                socket.send_to(payload.as_bytes(), (address(Side::Server), *port)).expect("it is sent");
            }
        };
        self.net.within(Side::Client, send).expect("root may");
        let [sockets @ .., (_, markers)] = &self.sockets;
        let mut buffer = [0; 64];
        markers.recv(&mut buffer).expect("a marker comes");
        let mut arrived = Vec::new();
        for (port, socket) in sockets {
            socket.set_nonblocking(true).expect("it can be");
            while let Ok(len) = socket.recv(&mut buffer) {
                arrived.push((*port, String::from_utf8_lossy(&buffer[..len]).into_owned()));
            }
        }
        arrived
    }
}

const QUERY: (u16, &str) = (SERVICE, "qgood day");
const BAD_QUERY: (u16, &str) = (SERVICE, "qbad day");
const UNWELCOME: (u16, &str) = (SERVICE, "nobody knows");
const NO_MESSAGE: (u16, &str) = (SERVICE, "xgood day");
const NEIGHBOURS: (u16, &str) = (NEIGHBOUR, "xgood day");
const ALL: [(u16, &str); 5] = [NEIGHBOURS, BAD_QUERY, UNWELCOME, NO_MESSAGE, QUERY];

fn owned(datagrams: &[(u16, &str)]) -> Vec<(u16, String)> {
    datagrams.iter().map(|(port, payload)| (*port, (*payload).to_owned())).collect()
}

fn xdp_loader_attaches_it() {
    with_bpffs(|bpffs| {
        let pair = Pair::up("", bpffs);
        assert_eq!(pair.arriving(true, &ALL).len(), ALL.len());
        let said = pair.xdp_loader("load --verbose $INTERFACE x.o");
        assert!(said.contains("Run prio: 10. Chain call actions: XDP_PASS"), "{said}");
        for is_v4 in [true, false] {
            assert_eq!(pair.arriving(is_v4, &ALL), owned(&[QUERY, NEIGHBOURS]));
        }
        pair.xdp_loader("unload $INTERFACE --all");
        assert_eq!(pair.arriving(true, &ALL).len(), ALL.len());
    });
}

fn xdp_loader_chains_it() {
    with_bpffs(|bpffs| {
        let pair = Pair::up("", bpffs);
        fs::write(pair.folder.path().join("other.s"), OTHER).expect("it is written");
        let assembled = weir(pair.folder.path(), &["asm", "other.s", "-o", "other.o"]);
        assert_eq!(assembled.status, Some(0), "{assembled:?}");
        let order = || {
            let status = pair.xdp_loader("status $INTERFACE");
            let program = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [_, priority, name, ..] = words[..] else { return None };
                ["guard", "other"].contains(&name).then(|| format!("{priority} {name}"))
            };
            let order: Vec<_> = status.lines().filter_map(program).collect();
            assert!(status.contains("XDP_PASS"), "{status}");
            order.join(", ")
        };
        assert_eq!(pair.arriving(true, &ALL).len(), ALL.len());
        pair.xdp_loader("load $INTERFACE other.o");
        pair.xdp_loader("load $INTERFACE x.o");
        assert_eq!(order(), "10 guard, 50 other");
        assert_eq!(pair.arriving(true, &ALL), owned(&[QUERY]));
        assert_eq!(pair.arriving(false, &ALL), owned(&[QUERY, NEIGHBOURS]));
        pair.xdp_loader("unload $INTERFACE --all");
        assert_eq!(pair.arriving(true, &ALL).len(), ALL.len());
        pair.xdp_loader("load $INTERFACE --prio 60 x.o");
        pair.xdp_loader("load $INTERFACE other.o");
        assert_eq!(order(), "50 other, 60 guard");
        assert_eq!(pair.arriving(true, &ALL), owned(&[QUERY]));
        pair.xdp_loader("unload $INTERFACE --all");
    });
}

fn until_its_lists_are_filled_it_lets_nothing_in() {
    with_bpffs(|bpffs| {
        let pair = Pair::up(&format!("block = [\"{}/32\"]\n", Side::Client.ipv4()), bpffs);
        pair.tool("bpftool prog load x.o $BPFFS/guard pinmaps $BPFFS/maps");
        pair.tool("ip link set dev $INTERFACE xdp pinned $BPFFS/guard");
        for is_v4 in [true, false] {
            assert_eq!(pair.arriving(is_v4, &ALL), owned(&[NEIGHBOURS]));
        }
        let maps = pair.bpffs.join("maps").display().to_string();
        let fill = || {
            // Other guards may be loaded, and have maps of the same names.
            let lists = pair.folder.path().join("x.o.lists");
            let commands = fs::read_to_string(&lists).expect("it was written");
            let commands = commands.replace("update name ", &format!("update pinned {maps}/"));
            fs::write(&lists, commands).expect("it is written");
            pair.tool("bpftool batch file x.o.lists");
        };
        fill();
        assert_eq!(pair.arriving(true, &ALL), owned(&[NEIGHBOURS]));
        assert_eq!(pair.arriving(false, &ALL), owned(&[QUERY, NEIGHBOURS]));
        let guard = pair.folder.path().join("guard.toml");
        let text = fs::read_to_string(&guard).expect("it was written");
        let [old, new] = [Side::Client.ipv4().to_string() + "/32", Side::Client.ipv6().to_string() + "/128"];
        fs::write(&guard, text.replace(&old, &new)).expect("it is written");
        export(pair.folder.path(), Hook::Xdp);
        fill();
        assert_eq!(pair.arriving(true, &ALL), owned(&[QUERY, NEIGHBOURS]));
        assert_eq!(pair.arriving(false, &ALL), owned(&[NEIGHBOURS]));
        // weir writes lists through memory.
        let shown = pair.tool(&format!("bpftool map show pinned {maps}/list_nodes"));
        assert!(shown.contains("array  name list_nodes  flags 0x400"), "{shown}");
        fs::remove_file(pair.bpffs.join("guard")).expect("it is ours");
        fs::remove_dir_all(&maps).expect("they are ours");
    });
}
