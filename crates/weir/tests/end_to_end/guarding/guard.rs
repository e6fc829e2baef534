//! `weir guard run` while it runs, and what it stands before.

use std::{
    collections::HashSet,
    fs::{self, File},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use weir_filters::{FilterName, Site, Toolkit};
use weir_hooks::{BoundSocket, HookError, KernelFilter, SocketHolders, SocketRefusal, owner_of_udp_port};
use weir_testing::{Ended, wait_until};

use crate::{
    guards::{ENFORCE, bag},
    objects::Objects,
    running::{Server, weir},
    watching::{program_ids, wait_until_unloaded},
};

/// `weir guard run`, once it was ready; killed when dropped.
pub(super) struct Guard {
    pub(super) child: Child,
    files: Objects,
    pub(super) programs: HashSet<u32>,
}

/// The control socket, beside its other files.
const CONTROL: &str = "control";

/// What the server listens to, and the guard where nothing else is said.
pub(super) const PORT: u16 = 12345;

impl Guard {
    pub(super) fn start(guard: &str, arguments: &[&str]) -> Self {
        Self::of(weir(&[]), guard, arguments)
    }

    /// With a command that is `weir`, perhaps with privileges that others haven't.
    pub(super) fn of(mut command: Command, guard: &str, arguments: &[&str]) -> Self {
        let files = Objects::new();
        let guard = files.file("guard.toml", guard.as_bytes());
        let [said, shown, summary] = ["said", "shown", "summary"].map(|name| files.file(name, b""));
        // It may be nobody who writes, and who makes the control socket.
        fs::set_permissions(&summary, PermissionsExt::from_mode(0o666)).expect("our file");
        fs::set_permissions(files.path(), PermissionsExt::from_mode(0o777)).expect("our folder");
        let file = |path| File::create(path).expect("our folder");
        let control = files.path().join(CONTROL);
        command
            .args(["guard", "run", &guard, "--summary", &summary, "--control"])
            .arg(control)
            .args(arguments);
        command.stdin(Stdio::null()).stderr(file(&said)).stdout(file(&shown));
        let child = command.spawn().expect("the binary starts");
        let mut guard = Self { child, files, programs: HashSet::new() };
        guard.wait_until_said("weir: ready");
        guard.programs = program_ids(guard.child.id());
        guard.check_confined();
        guard
    }

    /// It has the capabilities that it says, no thread has another one, and each is under a seccomp filter.
    fn check_confined(&self) {
        let said = self.read("said");
        let (_, rest) = said.split_once("weir: kept: ").expect("it says what is kept");
        let (names, _) = rest.split_once(", ").expect("more follows");
        let bits = names.split(' ').map(|name| match name {
            "CAP_DAC_READ_SEARCH" => 1 << 2,
            "CAP_NET_ADMIN" => 1 << 12,
            "CAP_SYS_PTRACE" => 1 << 19,
            "CAP_PERFMON" => 1 << 38,
            "CAP_BPF" => 1_u64 << 39,
            other => panic!("no guard takes {other}"),
        });
        let kept = format!("{:016x}", bits.fold(0, |set, bit| set | bit));
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        for task in tasks {
            let status = fs::read_to_string(task.expect("it runs").path().join("status")).expect("it runs");
            let field =
                |name| status.lines().find_map(|line| line.strip_prefix(name)).expect("a field").trim();
            for name in ["CapPrm:", "CapEff:", "CapBnd:"] {
                assert_eq!(field(name), kept, "{name} {names}");
            }
            for name in ["CapInh:", "CapAmb:"] {
                assert_eq!(field(name), "0000000000000000", "{name}");
            }
            assert_eq!((field("Seccomp:"), field("NoNewPrivs:")), ("2", "1"));
        }
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.files.path().join(name)).expect("it is text")
    }

    /// Has its file say something else, which it reads when it is told to.
    pub(super) fn rewrite(&self, guard: &str) {
        fs::write(self.files.path().join("guard.toml"), guard).expect("our folder");
    }

    /// The command that asks it while it runs.
    pub(super) fn asking(&self, command: &str) -> Command {
        let mut asking = weir(&["guard", command, "--control"]);
        asking.arg(self.files.path().join(CONTROL));
        asking
    }

    /// What `weir guard` says of it while it runs.
    pub(super) fn asked(&self, command: &str, arguments: &[&str]) -> Ended {
        Ended::from(self.asking(command).args(arguments).output().expect("the binary starts"))
    }

    pub(super) fn wait_until_said(&mut self, words: &str) {
        wait_until(&format!("it says '{words}'"), || {
            let said = self.read("said");
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "it ended ({ended:?}) without '{words}': {said}");
            said.contains(words)
        });
    }

    /// Ends it: its record, and what it said. Its programs are unloaded: nothing has them any more.
    pub(super) fn ended(mut self) -> (Value, Ended) {
        // Rules may have changed.
        self.programs.extend(program_ids(self.child.id()));
        let programs = std::mem::take(&mut self.programs);
        let ended = self.left();
        wait_until_unloaded(&programs);
        ended
    }

    /// The same of one that leaves its programs where they are.
    pub(super) fn left(mut self) -> (Value, Ended) {
        // Twice, as timeout(1) and some shells do: it detaches all the same.
        for _ in 0..2 {
            kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("it is our child");
        }
        let status = self.child.wait().expect("it is our child").code();
        let ended = Ended { status, stdout: self.read("shown"), stderr: self.read("said") };
        assert_eq!(ended.status, Some(0), "{ended:?}");
        (serde_json::from_str(&self.read("summary")).expect("JSON"), ended)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that filters nothing. A control group's program judges for every network namespace, so that servers are in one of
/// their own where that is tried.
pub(super) fn serve(listen: &str, arguments: &[&str]) -> Server {
    let plain = ["--hook", "user", "--filter", "simple-socket-filter"];
    Server::start_on(listen, &[&plain[..], arguments].concat())
}

/// What filter a socket of the port has, if any.
pub(super) fn filter_on(port: u16) -> Option<SocketRefusal> {
    let program = KernelFilter::load(FilterName::Simple.into(), Toolkit::Fun, &Site::socket());
    let program = program.expect("it loads");
    let sockets = BoundSocket::on_port(port).expect("the kernel has the table");
    let holders = SocketHolders::of(&sockets);
    sockets.iter().find_map(|socket| {
        let holder = holders.one_of(socket).expect("root may look");
        match program.attach_to_anothers(socket, holder) {
            Ok(attached) => {
                attached.detach().expect("it was there");
                None
            }
            Err(HookError::RefusedSocket { refusal, .. }) => Some(refusal),
            Err(error) => panic!("{error}"),
        }
    })
}

/// The one socket of the port, which its server keeps.
pub(super) fn lent(port: u16) -> OwnedFd {
    let (socket, holder) = owner_of_udp_port(port).expect("it is there");
    socket.lent_by(holder).expect("root may")
}

pub(super) fn at(hook: &str) -> String {
    bag(&format!("{ENFORCE}\nat = \"{hook}\""))
}

/// Packets that the server has read and that are no request, at its end.
pub(super) fn invalid(server: Server) -> String {
    server.signal(Signal::SIGTERM);
    let said = server.ended().stderr;
    let (_, rest) = said.split_once("datagrams read, ").expect("it says so");
    rest.split(' ').next().expect("a number").to_owned()
}

pub(super) fn ip(lines: &[&str]) {
    for line in lines {
        let done = Command::new("ip").args(line.split(' ')).status().expect("iproute2 is there");
        assert!(done.success(), "{line}");
    }
}
