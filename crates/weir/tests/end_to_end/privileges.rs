//! What a process that may do little is told, and what it can do all the same.

use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use weir_testing::{Ended, Test, folder};

use crate::{
    bad_input::check,
    running::{Server, ask, weir},
};

/// Where loopback carries packets of several datagrams, of which the kernel tells programs.
pub(crate) const TOLD: &[Test] =
    &[("without_cap_perfmon_the_sockets_filter_decides", without_perfmon_the_sockets_filter_decides)];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("without_privilege_the_remedy_is_said", without_privilege_the_remedy_is_said),
    ("cap_bpf_alone_loads_every_filter", cap_bpf_alone_loads_every_filter),
    (
        "a_guard_that_the_verifier_refuses_is_told_its_rule",
        a_guard_that_the_verifier_refuses_is_told_its_rule,
    ),
    ("classic_bpf_needs_no_privilege", classic_bpf_needs_no_privilege),
    ("capabilities_of_a_user_namespace_are_not_taken_for_enough", a_user_namespace_is_told),
    ("a_seccomp_filter_that_refuses_bpf_is_told", a_seccomp_filter_is_told),
    ("a_process_without_netlink_is_told_what_lacks", a_process_without_netlink_is_told),
    ("a_refused_program_is_a_row_beside_the_others", a_refused_program_is_a_row),
    ("a_server_without_proc_serves", a_server_without_proc_serves),
];

pub(crate) const NOBODY: u32 = 65534;

/// A copy of the binary that nobody can start: the build folder may be closed to him.
pub(crate) fn copy_for_nobody() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = folder();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("our folder");
    let copy = folder.path().join("weir");
    std::fs::copy(env!("CARGO_BIN_EXE_weir"), &copy).expect("a copy");
    // A process that another test started meanwhile holds the file open for writing until it executes something.
    let is_busy = || match Command::new(&copy).arg("--version").output() {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::ExecutableFileBusy,
    };
    let is_free = (0..200).any(|_| {
        let free = !is_busy();
        if !free {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        free
    });
    assert!(is_free, "the copy stays open for writing");
    (folder, copy)
}

/// A copy of the binary, started with CAP_BPF and nothing else. setpriv(1) is in util-linux, which Debian always has.
fn with_only_bpf(copy: &Path) -> Command {
    let id = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    command.args(["--inh-caps=-all,+bpf", "--ambient-caps=-all,+bpf", "--bounding-set=-all,+bpf"]).arg(copy);
    command
}

fn serve_with_only_bpf(copy: &Path, arguments: &[&str]) -> Command {
    let mut command = with_only_bpf(copy);
    command.args(SERVE).args(arguments);
    command
}

/// The program that could tell packets of several datagrams isn't let in, and the one that can't isn't attached.
fn without_perfmon_the_sockets_filter_decides() {
    let (_folder, copy) = copy_for_nobody();
    let server = Server::of(serve_with_only_bpf(&copy, &["--hook", "reuseport", "--toolkit", "fun"]));
    server.signal(Signal::SIGTERM);
    check(&server.ended(), 0, &["they are one by one here", "CAP_PERFMON"]);
}

/// Least privilege: no filter may need more than CAP_BPF.
fn cap_bpf_alone_loads_every_filter() {
    let (_folder, copy) = copy_for_nobody();
    let with_only_bpf = |arguments: &[&str]| serve_with_only_bpf(&copy, arguments);
    for filter in weir_filters::FilterName::ALL {
        let server = Server::of(with_only_bpf(&["--filter", filter.as_str()]));
        server.signal(Signal::SIGTERM);
        assert_eq!(server.ended().status, Some(0), "{filter}");
    }
    let statistics = with_only_bpf(&["--server", "ebpf-stats-server"]).output().expect("setpriv starts");
    check(&Ended::from(statistics), 1, &["switching BPF statistics on", "CAP_SYS_ADMIN"]);
}

/// Names take CAP_PERFMON, and so does a guard at xdp.
fn a_guard_that_the_verifier_refuses_is_told_its_rule() {
    let (folder, copy) = copy_for_nobody();
    let (at, place) = match weir_hooks::kernel_features().xdp_frags {
        true => ("xdp", "guard.toml:3:10: listen = "),
        false => ("socket", "dns (shipped):"),
    };
    let text = format!(
        "[[service]]\nname = 'dns'\nlisten = 'udp/127.0.0.1:53'\nat = '{at}'\nprotocol = 'dns'\naccept = ['query']\n"
    );
    let guard = folder.path().join("guard.toml");
    std::fs::write(&guard, text).expect("the folder is ours");
    for arguments in [&["guard", "check", "--load", "--json"][..], &["guard", "run"]] {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-perfmon,-sys_admin", "--inh-caps=-perfmon,-sys_admin"]).arg(&copy);
        let ended = Ended::from(command.args(arguments).arg(&guard).output().expect("setpriv starts"));
        assert_eq!(ended.status, Some(1), "{ended:?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let mut traced = said.split("what was refused comes from ").skip(1);
        assert!(traced.any(|line| line.contains(place)), "{said}");
    }
}

/// As root, the binary is run as nobody; anybody else has no privilege anyway.
fn without_privilege_the_remedy_is_said() {
    let (_folder, copy) = copy_for_nobody();
    let ended = Ended::from(by_nobody(&copy, &[]).output().expect("the copy starts"));
    check(&ended, 1, &["loading valid-command", "Operation not permitted", "needs root, or CAP_BPF"]);
    let ended = Ended::from(by_nobody(&copy, &["--server", "printk"]).output().expect("the copy starts"));
    check(
        &ended,
        1,
        &["printk: BPF_PROG_LOAD: Operation not permitted", "); needs root, or CAP_BPF and CAP_PERFMON"],
    );
}

fn classic_bpf_needs_no_privilege() {
    let (_folder, copy) = copy_for_nobody();
    let server = Server::of(by_nobody(&copy, &["--toolkit", "cbpf"]));
    let socket = server.socket();
    socket.send(b"no command").expect("send");
    socket.send(&weir_wire::Request::Put { key: 1, value: 5 }.to_bytes()).expect("send");
    let get = weir_wire::Request::Get { key: 1 }.to_bytes();
    assert_eq!(ask(&socket, &get).as_deref(), Some("5"));
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("0 of them invalid"), "{ended:?}");
    let said = "an uncounted number dropped by the filter, 1 dropped in all by the socket";
    assert!(ended.stderr.contains(said), "{ended:?}");
}

pub(crate) fn by_nobody(copy: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(copy);
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The binary behind a seccomp filter that lets a call fail so.
pub(crate) fn refusing(call: i64, rules: Vec<SeccompRule>, errno: i32, arguments: &[&str]) -> Command {
    let filter = SeccompFilter::new(
        [(call, rules)].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        std::env::consts::ARCH.try_into().expect("seccomp knows this machine"),
    );
    let program: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    let mut command = weir(arguments);
    // SAFETY: seccomp(2) and prctl(2) may be called between fork and exec, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            seccompiler::apply_filter(&program).map_err(|_| std::io::Error::last_os_error())
        })
    };
    command
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

fn row_of<'a>(document: &'a serde_json::Value, what: &str) -> &'a serde_json::Value {
    let rows = document["findings"].as_array().expect("findings");
    rows.iter().find(|row| row["what"] == what).unwrap_or_else(|| panic!("no row {what} in {document}"))
}

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

fn a_user_namespace_is_told() {
    let inside = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_weir")]).args(arguments);
        command.stdin(Stdio::null()).output().expect("unshare starts")
    };
    let ended = Ended::from(inside(&SERVE));
    check(&ended, 1, &["loading valid-command", "Operation not permitted", "of a user namespace"]);
    assert!(!ended.stderr.contains("needs root"), "{ended:?}");
    let document = json(&Ended::from(inside(&["doctor", "--json"])));
    for capability in ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", "CAP_SYS_ADMIN"] {
        let row = row_of(&document, capability);
        assert_eq!(
            (&row["state"], &row["found"]),
            (&"gap".into(), &"there, in a user namespace".into()),
            "{row}"
        );
    }
}

fn a_seccomp_filter_is_told() {
    for errno in [nix::libc::EPERM, nix::libc::ENOSYS] {
        let refusing = |arguments: &[&str]| {
            Ended::from(
                refusing(nix::libc::SYS_bpf, Vec::new(), errno, arguments).output().expect("it starts"),
            )
        };
        let ended = refusing(&SERVE);
        check(&ended, 1, &["loading valid-command", "a seccomp filter"]);
        assert!(!ended.stderr.contains("needs root"), "{ended:?}");
        let document = json(&refusing(&["doctor", "--json"]));
        let row = row_of(&document, "CAP_BPF");
        assert_eq!(row["state"], "gap", "{row}");
        assert!(row["remedy"].as_str().is_some_and(|remedy| remedy.contains("a seccomp filter")), "{row}");
    }
}

/// As systemd's RestrictAddressFamilies= does.
fn a_process_without_netlink_is_told() {
    let is_netlink = |argument| {
        SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            nix::libc::AF_NETLINK as u64,
        )
    };
    let rule = SeccompRule::new(vec![is_netlink(0).expect("a condition")]).expect("a rule");
    let without = |arguments: &[&str]| {
        refusing(
            nix::libc::SYS_socket,
            vec![rule.clone()],
            nix::libc::EAFNOSUPPORT,
            &[&SERVE, arguments].concat(),
        )
    };
    for hook in ["reuseport", "tc", "xdp"] {
        let ended = Ended::from(without(&["--hook", hook]).output().expect("it starts"));
        check(&ended, 1, &["Address family not supported", "netlink"]);
    }
    // At the socket nobody asks for interfaces.
    let server = Server::of(without(&[]));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().status, Some(0));
}

/// CAP_BPF lets programs of the sockets in, and of no interface.
fn a_refused_program_is_a_row() {
    let (_folder, copy) = copy_for_nobody();
    let of_fun = |arguments: &[&str]| {
        let mut command = with_only_bpf(&copy);
        command.arg("verify").args(arguments).args([
            "--filter",
            "valid-command",
            "--toolkit",
            "fun",
            "--json",
        ]);
        Ended::from(command.output().expect("setpriv starts"))
    };
    let check = |ended: Ended,
                 is_refused: &dyn Fn(&serde_json::Value) -> bool,
                 rows: &dyn Fn(&Ended) -> Vec<serde_json::Value>| {
        assert_eq!(ended.status, Some(1), "{ended:?}");
        let rows = rows(&ended);
        for hook in ["socket", "tc", "xdp"] {
            let mut of_hook = rows.iter().filter(|row| row["hook"] == hook).peekable();
            assert!(of_hook.peek().is_some(), "no row for {hook}: {rows:?}");
            assert!(of_hook.all(|row| is_refused(row) == (hook != "socket")), "{hook}: {rows:?}");
        }
    };
    let array = |value: &serde_json::Value| value.as_array().expect("rows").clone();
    check(of_fun(&["-n", "100"]), &|row| row["refusals"] != serde_json::json!([]), &|ended| {
        array(&json(ended)["rows"])
    });
    check(of_fun(&["--speed"]), &|row| !row["refused"].is_null(), &|ended| array(&json(ended)));
    check(of_fun(&["-n", "100", "--mutants"]), &|row| row["outcome"] == "unavailable", &|ended| {
        array(&json(ended))
    });
}

/// In a mount namespace where nothing is mounted at /proc.
fn a_server_without_proc_serves() {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "umount -l /proc && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_weir")]);
    command.args(SERVE).stdin(Stdio::null());
    let server = Server::of(command);
    let socket = server.socket();
    socket.send(&weir_wire::Request::Put { key: 1, value: 5 }.to_bytes()).expect("send");
    let get = weir_wire::Request::Get { key: 1 }.to_bytes();
    assert_eq!(ask(&socket, &get).as_deref(), Some("5"));
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().status, Some(0));
}
