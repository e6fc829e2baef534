//! The servers of the toolkit fun: what they show of their receive calls, and what they leave behind.

use std::{
    collections::HashSet,
    fs,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::Duration,
};

use nix::sys::signal::Signal;
use weir_testing::{Ended, Test, patience, wait_until};
use weir_wire::Request;

use crate::{
    bad_input::check,
    privileges::{NOBODY, copy_for_nobody},
    running::{Server, ask, run},
};

pub(crate) const ANYWHERE: &[Test] = &[
    ("the_plain_server_filters_in_user_space", the_plain_server_filters_in_user_space),
    ("servers_of_fun_refuse_what_does_not_fit", servers_of_fun_refuse_what_does_not_fit),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("the_socketfilter_server_filters_in_the_kernel", the_socketfilter_server_filters_in_the_kernel),
    ("snoop_counts_each_receive_call_once", snoop_counts_each_receive_call_once),
    ("snoop_filter_counts_what_the_filter_lets_through", snoop_filter_counts_what_comes_through),
    ("printk_shows_a_line_a_call", printk_shows_a_line_a_call),
    ("a_killed_snoop_leaves_nothing", a_killed_snoop_leaves_nothing),
    ("a_snoop_without_privilege_says_what_it_needs", a_snoop_without_privilege_says_what_it_needs),
    ("capabilities_are_enough_for_a_snoop", capabilities_are_enough),
];

#[derive(Clone, Copy, Debug)]
enum EndBy {
    Stop,
    Signal(Signal),
}

const GETS: usize = 5;
/// The PUT, the GETs, the call that the end finds waiting, and the one that finds the buffer empty.
const CALLS: usize = 1 + GETS + 1 + 1;

/// Serves requests that are each read by a call of its own, and ends.
fn served(server: &str, io: &str, end: EndBy) -> (u32, Ended) {
    let server = Server::start(&["--server", server, "--io", io]);
    let socket = server.socket();
    socket.send(&Request::Put { key: 0, value: 1 }.to_bytes()).expect("send");
    wait_until_read(server.address.port());
    socket.send(b"BADBADB").expect("send");
    wait_until_read(server.address.port());
    for _ in 0..GETS {
        assert_eq!(ask(&socket, &Request::Get { key: 0 }.to_bytes()).as_deref(), Some("1"));
    }
    match end {
        EndBy::Stop => {
            socket.send(&Request::Stop.to_bytes()).expect("send");
        }
        EndBy::Signal(signal) => {
            wait_until_waiting(&server);
            server.signal(signal);
        }
    }
    let process = server.process();
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    (process, ended)
}

/// How long a datagram may be with the kernel's own thread (ksoftirqd) before it is in the receive buffer.
const ON_ITS_WAY: Duration = Duration::from_millis(5);

/// Until what was sent is in the receive buffer of that port no more (/proc/net/udp, tx_queue:rx_queue).
fn wait_until_read(port: u16) {
    sleep(patience(ON_ITS_WAY));
    let local = format!("0100007F:{port:04X}");
    wait_until("the server has read", || {
        let sockets = fs::read_to_string("/proc/net/udp").expect("Linux has it");
        let mut rows = sockets.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        // The table is read in parts, and a socket that closes meanwhile moves others out of them.
        let row = rows.find(|row| row.get(1) == Some(&local.as_str()));
        row.is_some_and(|row| row[4].ends_with(":00000000"))
    });
}

/// Until the server's first thread sleeps (proc_pid_stat(5)), which it does in a receive call alone.
fn wait_until_waiting(server: &Server) {
    wait_until("the server waits", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", server.process())).expect("it runs");
        stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('S'))
    });
}

/// Every way to read with every way to end.
fn each_way(mut check: impl FnMut(&str, EndBy)) {
    for io in ["batch", "simple"] {
        for end in [EndBy::Stop, EndBy::Signal(Signal::SIGINT), EndBy::Signal(Signal::SIGTERM)] {
            check(io, end);
        }
    }
}

fn the_plain_server_filters_in_user_space() {
    each_way(|io, end| {
        let (_, ended) = served("plain", io, end);
        assert_eq!(ended.stdout, "", "{io} {end:?}");
        assert!(ended.stderr.contains("plain behind valid-command (rust at user)"), "{ended:?}");
        assert!(ended.stderr.contains("1 dropped by the filter, 0 dropped in all"), "{ended:?}");
    });
}

fn the_socketfilter_server_filters_in_the_kernel() {
    each_way(|io, end| {
        let (_, ended) = served("socketfilter", io, end);
        assert_eq!(ended.stdout, "", "{io} {end:?}");
        assert!(ended.stderr.contains("socketfilter behind valid-command (fun at socket)"), "{ended:?}");
        assert!(ended.stderr.contains("1 dropped by the filter, 1 dropped in all"), "{ended:?}");
    });
}

/// How many there are of what a line counts: so many as `calls`, but for those that the server says it missed. A program that
/// another one interrupts doesn't run.
fn counted(ended: &Ended, before: &str, calls: usize) -> usize {
    let number = |before: &str| {
        let line = ended.stdout.lines().find_map(|line| line.strip_prefix(before))?;
        line.split_whitespace().next()?.parse::<usize>().ok()
    };
    let counted = number(before).expect("it says how many");
    let missed = number("the kernel left the probe out ").unwrap_or(0);
    assert!((calls.saturating_sub(missed)..=calls).contains(&counted), "{calls} calls: {ended:?}");
    counted
}

fn snoop_counts_each_receive_call_once() {
    each_way(|io, end| {
        let (_, ended) = served("snoop", io, end);
        counted(&ended, "receive calls: ", CALLS + 1);
    });
}

fn snoop_filter_counts_what_comes_through() {
    each_way(|io, end| {
        let (_, ended) = served("snoop-filter", io, end);
        counted(&ended, "receive calls: ", CALLS);
        assert!(ended.stderr.contains("1 dropped by the filter, 1 dropped in all"), "{ended:?}");
    });
}

fn printk_shows_a_line_a_call() {
    let _reader = trace_buffer();
    each_way(|io, end| {
        let (process, ended) = served("printk", io, end);
        let (lines, _) = ended.stdout.split_once("trace lines: ").expect("it says how many");
        assert_eq!(
            lines.lines().count(),
            counted(&ended, "trace lines: ", CALLS + 1),
            "{io} {end:?}: {ended:?}"
        );
        for line in lines.lines() {
            assert!(line.contains(&format!("bpf_trace_printk: weir: process {process}, socket ")), "{line}");
        }
    });
    killed_leaves_nothing("printk", 1);
}

fn a_killed_snoop_leaves_nothing() {
    killed_leaves_nothing("snoop", 1);
    killed_leaves_nothing("snoop-filter", 2);
}

fn killed_leaves_nothing(server: &str, programs: usize) {
    let mounts = || fs::read_to_string("/proc/self/mounts").expect("Linux has it");
    let before = mounts();
    let server = Server::start(&["--server", server]);
    let ours = program_ids(server.process());
    assert_eq!(ours.len(), programs, "{ours:?}");
    let seen_by_server = fs::read_to_string(format!("/proc/{}/mounts", server.process())).expect("it runs");
    assert_eq!(seen_by_server, before);
    server.signal(Signal::SIGKILL);
    drop(server);
    assert_eq!(mounts(), before);
    wait_until_unloaded(&ours);
}

/// The kernel lets go of a dead process's descriptors, and of the programs with them, a moment later.
pub(crate) fn wait_until_unloaded(programs: &HashSet<u32>) {
    wait_until("its programs are unloaded", || {
        let loaded = aya::programs::loaded_programs().filter_map(Result::ok).map(|program| program.id());
        loaded.collect::<HashSet<_>>().is_disjoint(programs)
    });
}

/// The kernel's trace buffer has one reader at a time: for as long as this is held, no other test here reads it.
pub(crate) fn trace_buffer() -> MutexGuard<'static, ()> {
    static READER: Mutex<()> = Mutex::new(());
    READER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Programs that a process holds (kernel/bpf/syscall.c, bpf_prog_show_fdinfo).
pub(crate) fn program_ids(process: u32) -> HashSet<u32> {
    let infos = fs::read_dir(format!("/proc/{process}/fdinfo")).expect("it runs");
    let infos = infos.filter_map(|info| fs::read_to_string(info.ok()?.path()).ok());
    let id = |info: String| {
        let is_link = info.lines().any(|line| line.starts_with("link_type:"));
        let id = info.lines().find_map(|line| line.strip_prefix("prog_id:"))?;
        (!is_link).then(|| id.trim().parse().expect("a number"))
    };
    infos.filter_map(id).collect()
}

fn servers_of_fun_refuse_what_does_not_fit() {
    let refused = |arguments: &[&str], parts: &[&str]| {
        check(&run(&[&["serve", "--server"], arguments].concat()), 2, parts);
    };
    refused(&["plain", "--hook", "socket"], &["plain needs no program", "hook socket"]);
    refused(&["socketfilter", "--hook", "user"], &["socketfilter needs valid-command at hook socket"]);
    refused(&["snoop-filter", "--filter", "count-filter"], &["snoop-filter needs valid-command"]);
    refused(&["snoop", "--toolkit", "fun"], &["BPF runs in the kernel"]);
    refused(&["snop"], &["unknown server 'snop'", "snoop-filter", "printk"]);
}

/// In a mount namespace of its own. Without options: they would be those of every mount of tracefs.
const WITH_TRACEFS: &str = "mount -t tracefs tracefs /sys/kernel/tracing && exec \"$@\"";
const AS_IT_IS: &str = "exec \"$@\"";

/// unshare(1) and setpriv(1) are in util-linux, which Debian always has.
fn as_nobody(folder: &tempfile::TempDir, script: &str, capabilities: &str, server: &str) -> Command {
    let id = NOBODY.to_string();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", "setpriv", "--reuid", &id, "--regid", &id]);
    command.arg("--clear-groups");
    for set in ["inh-caps", "ambient-caps", "bounding-set"] {
        command.arg(format!("--{set}=-all{capabilities}"));
    }
    command.arg(folder.path().join("weir")).args(["serve", "--listen", "127.0.0.1:0", "--server", server]);
    command
}

fn a_snoop_without_privilege_says_what_it_needs() {
    let (folder, _) = copy_for_nobody();
    let refused = |script, capabilities, server, parts: &[&str]| {
        let output = as_nobody(&folder, script, capabilities, server).output().expect("unshare starts");
        check(&Ended::from(output), 1, parts);
    };
    let needs = "needs root, or CAP_BPF and CAP_PERFMON";
    for server in ["snoop", "printk"] {
        let loading = format!("loading {server}");
        refused(WITH_TRACEFS, "", server, &[&loading, needs]);
        refused(WITH_TRACEFS, ",+bpf", server, &[&loading, needs]);
    }
    if fs::read_dir("/sys/kernel/tracing").is_ok_and(|mut entries| entries.next().is_none()) {
        let parts = ["tracefs, which is not mounted", "needs root", "mount -t tracefs"];
        refused(AS_IT_IS, ",+bpf,+perfmon", "snoop", &parts);
    }
}

/// CAP_DAC_READ_SEARCH opens a tracefs that its owner alone can read, CAP_SYS_ADMIN mounts one.
fn capabilities_are_enough() {
    let (folder, _) = copy_for_nobody();
    for (script, capabilities) in [
        (WITH_TRACEFS, ",+bpf,+perfmon,+dac_read_search"),
        (AS_IT_IS, ",+bpf,+perfmon,+dac_read_search,+sys_admin"),
    ] {
        let server = match Server::try_of(as_nobody(&folder, script, capabilities, "snoop")) {
            Ok(server) => server,
            // Older kernels of Debian's ask for CAP_SYS_ADMIN where the level is so high.
            Err(ended) => {
                let level =
                    fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").expect("/proc is mounted");
                assert!(level.trim().parse::<i32>().expect("a level") > 2, "{ended:?}");
                assert!(!capabilities.contains("sys_admin"), "{ended:?}");
                check(&ended, 1, &["attaching snoop", "kernel.perf_event_paranoid is above 2"]);
                continue;
            }
        };
        wait_until_waiting(&server);
        server.signal(Signal::SIGTERM);
        let ended = server.ended();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        counted(&ended, "receive calls: ", 2);
    }
}
