//! `weir attach`: anybody's programs, attached until a signal comes, with their maps and lines shown meanwhile.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Read as _},
    net::UdpSocket,
    os::fd::AsRawFd as _,
    process::{Child, ChildStdout, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use weir_testing::{Ended, Test, received};

use crate::{
    bad_input::check,
    objects::Objects,
    privileges::{NOBODY, copy_for_nobody},
    running::{run, weir},
    watching::{program_ids, trace_buffer, wait_until_unloaded},
};

pub(crate) const ANYWHERE: &[Test] = &[
    ("what_is_attached_to_nothing_says_what_to_say", what_is_attached_to_nothing_says_what_to_say),
    ("programs_that_weir_attaches_nowhere_are_refused", programs_that_weir_attaches_nowhere_are_refused),
];

pub(crate) const IN_KERNEL: &[Test] = &[
    ("a_program_made_by_weir_asm_counts_a_childs_calls", a_program_made_by_weir_asm_counts_a_childs_calls),
    ("trace_lines_come_while_they_are_written", trace_lines_come_while_they_are_written),
    ("every_signal_that_asks_for_an_end_detaches", every_signal_that_asks_for_an_end_detaches),
    ("a_killed_attachment_leaves_nothing", a_killed_attachment_leaves_nothing),
    ("a_program_is_attached_for_a_time", a_program_is_attached_for_a_time),
    ("a_reader_that_goes_away_detaches", a_reader_that_goes_away_detaches),
    ("somebodys_socket_is_filtered_until_the_end", somebodys_socket_is_filtered_until_the_end),
    ("somebodys_service_starts_again_meanwhile", somebodys_service_starts_again_meanwhile),
    ("what_cannot_be_attached_says_why", what_cannot_be_attached_says_why),
    ("without_privilege_an_attachment_says_what_it_needs", without_privilege_it_says_what_it_needs),
];

/// `weir attach`, once it was attached; killed when dropped.
struct Attachment {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    programs: HashSet<u32>,
}

impl Attachment {
    fn start(arguments: &[&str]) -> Self {
        Self::of(weir(&[&["attach"], arguments].concat()))
    }

    fn of(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        while !said.contains("weir: attached") {
            let read = stderr.read_line(&mut said).expect("stderr is text");
            assert!(read > 0, "it ended before it was attached: {said}");
        }
        child.stderr = Some(stderr.into_inner());
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let programs = program_ids(child.id());
        assert_eq!(programs.len(), 1, "{programs:?}");
        Self { child, stdout: Some(stdout), programs }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().expect("it is read still").read_line(&mut line).expect("stdout is text");
        line
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// What was left to be read of its standard output, and whatever it was that ended it.
    fn ended(mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.take().expect("it is read still").read_to_string(&mut stdout).expect("stdout is text");
        let mut stderr = String::new();
        self.child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("stderr is text");
        let status = self.child.wait().expect("it is our child");
        wait_until_unloaded(&self.programs);
        Ended { status: status.code(), stdout, stderr }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls of kill(2) by process.
const COUNT: &str = "\
.map calls hash key=u32 value=u64 entries=4096
.program count tracepoint/syscalls/sys_enter_kill
.slot key u32
.slot one u64
    call get_current_pid_tgid
    rsh r0, 32
    stxw [key], r0
    stdw [one], 0
    lmap r1, calls
    mov r2, r10
    add r2, key
    mov r3, r10
    add r3, one
    mov r4, 1                           ; only where there is none
    call map_update_elem
    lmap r1, calls
    mov r2, r10
    add r2, key
    call map_lookup_elem
    jeq r0, 0, done
    mov r1, 1
    lock add [r0], r1
done:
    mov r0, 0
    exit
";

const KILLS: usize = 5;

/// A child that asks so often whether it lives; its process id.
fn child_that_calls() -> u32 {
    let script = "for each in 1 2 3 4 5; do kill -0 $$; done";
    let mut child = Command::new("sh").args(["-c", script]).spawn().expect("there is a shell");
    let process = child.id();
    assert!(child.wait().expect("it is our child").success());
    process
}

fn a_program_made_by_weir_asm_counts_a_childs_calls() {
    let objects = Objects::new();
    let object = objects.assembled("count", COUNT);
    let attached = Attachment::start(&[&object, "--entries", "4096"]);
    let child = child_that_calls();
    attached.signal(Signal::SIGTERM);
    let ended = attached.ended();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("map calls (hash)\n"), "{ended:?}");
    assert!(ended.stdout.contains(&format!("\n  {child}: {KILLS}\n")), "{child}: {ended:?}");

    // Of the text itself, for machines; the flag says where to.
    let text = objects.file("other.s", COUNT.replace("/sys_enter_kill", "/sys_enter_getpid").as_bytes());
    let place = ["--tracepoint", "syscalls/sys_enter_kill", "--json", "--every", "1h", "--entries", "4096"];
    let mut attached = Attachment::start(&[&[text.as_str()], &place[..]].concat());
    let event: Value = serde_json::from_str(&attached.line()).expect("it is JSON");
    assert_eq!(event["event"], "attached");
    assert_eq!((&event["type"], &event["to"]), (&"tracepoint".into(), &"syscalls/sys_enter_kill".into()));
    let event: Value = serde_json::from_str(&attached.line()).expect("it is JSON");
    assert_eq!((&event["event"], &event["detached"]), (&"maps".into(), &false.into()), "{event}");
    let child = child_that_calls();
    attached.signal(Signal::SIGINT);
    let ended = attached.ended();
    let event: Value = serde_json::from_str(&ended.stdout).expect("one line of JSON is left");
    assert_eq!((&event["event"], &event["detached"]), (&"maps".into(), &true.into()), "{event}");
    assert_eq!(event["maps"][0]["name"], "calls");
    let entries = event["maps"][0]["entries"].as_array().expect("it has some");
    let entry = entries.iter().find(|entry| entry["key"] == child).expect("the child was counted");
    assert_eq!(entry["value"], KILLS);
}

/// A line for each kill(2) of a process.
fn printing(process: &str) -> String {
    let mut text = b"weir saw a call of %d\n\0".to_vec();
    text.resize(24, 0);
    let words = text.as_chunks::<8>().0.iter().enumerate();
    let stores = words.map(|(word, bytes)| {
        format!("lddw r1, {:#x}\nstxdw [text + {}], r1\n", u64::from_ne_bytes(*bytes), 8 * word)
    });
    let stores: String = stores.collect();
    format!(
        ".license \"GPL\"\n.program say tp/syscalls/sys_enter_kill\n.slot text u8[24] align=8\n{process}{stores}\
         call get_current_pid_tgid\nmov r3, r0\nrsh r3, 32\nmov r1, r10\nadd r1, text\nmov r2, 23\ncall trace_printk\n\
         mov r0, 0\nexit\n"
    )
}

fn trace_lines_come_while_they_are_written() {
    let _reader = trace_buffer();
    let objects = Objects::new();
    let object = objects.assembled("say", &printing(""));
    for json in [false, true] {
        let arguments: &[&str] = if json { &[&object, "--json"] } else { &[&object] };
        let mut attached = Attachment::start(arguments);
        let wanted = format!("bpf_trace_printk: weir saw a call of {}", child_that_calls());
        let mut seen = 0;
        while seen < KILLS {
            let line = attached.line();
            assert!(!line.is_empty(), "it ended");
            let line = if json {
                let event: Value = serde_json::from_str(&line).expect("it is JSON");
                event["line"].as_str().unwrap_or_default().to_owned()
            } else {
                line
            };
            seen += usize::from(line.trim_end().ends_with(&wanted));
        }
        attached.signal(Signal::SIGTERM);
        let ended = attached.ended();
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
}

fn every_signal_that_asks_for_an_end_detaches() {
    let objects = Objects::new();
    let object = objects.assembled("count", COUNT);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let attached = Attachment::start(&[&object]);
        attached.signal(signal);
        let ended = attached.ended();
        assert_eq!(ended.status, Some(0), "{signal}: {ended:?}");
        assert!(ended.stderr.contains("weir: detached count from syscalls/sys_enter_kill"), "{ended:?}");
    }
}

/// In a network namespace of its own, which has an interface.
fn in_a_namespace(object: &str, arguments: &[&str]) -> Attachment {
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_weir"), "attach", object]).args(arguments);
    Attachment::of(command)
}

fn a_killed_attachment_leaves_nothing() {
    let objects = Objects::new();
    let mounts = || std::fs::read_to_string("/proc/self/mounts").expect("Linux has it");
    let before = mounts();
    let attached = Attachment::start(&[&objects.assembled("count", COUNT)]);
    attached.signal(Signal::SIGKILL);
    assert_eq!(attached.ended().status, None);
    assert_eq!(mounts(), before);
    for (section, verdict) in [("tcx/egress", 0), ("xdp", 2)] {
        let name = section.split('/').next().unwrap_or_default();
        let object = objects.assembled(name, &format!(".program p {section}\nmov r0, {verdict}\nexit\n"));
        for signal in [Signal::SIGKILL, Signal::SIGTERM] {
            let attached = in_a_namespace(&object, &["--interface", "lo"]);
            attached.signal(signal);
            attached.ended();
        }
    }
}

fn a_program_is_attached_for_a_time() {
    let objects = Objects::new();
    let object = objects.assembled("pass", ".program p tcx/egress\nmov r0, 0\nexit\n");
    let mut command = Command::new("unshare");
    command.args([
        "--net",
        env!("CARGO_BIN_EXE_weir"),
        "attach",
        &object,
        "--interface",
        "lo",
        "--for",
        "50ms",
    ]);
    let ended = Ended::from(command.output().expect("unshare starts"));
    check(&ended, 0, &["weir: attached p (tc) to lo (egress)", "weir: detached p from lo (egress)"]);
}

fn a_reader_that_goes_away_detaches() {
    let objects = Objects::new();
    let mut attached = Attachment::start(&[&objects.assembled("count", COUNT), "--every", "10ms"]);
    assert_eq!(attached.line().split(':').next().map(str::trim_end), Some("map calls (hash)"));
    drop(attached.stdout.take());
    assert_eq!(attached.child.wait().expect("it is our child").code(), Some(0));
    wait_until_unloaded(&attached.programs);
}

fn arrives((receiver, sender): &(UdpSocket, UdpSocket)) -> bool {
    sender.send(b"packet").expect("send");
    !received(receiver).is_empty()
}

fn somebodys_socket_is_filtered_until_the_end() {
    let objects = Objects::new();
    let object = objects.assembled("drop", ".program all socket\nmov r0, 0\nexit\n");
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    receiver.set_nonblocking(true).expect("a socket can be non-blocking");
    let address = receiver.local_addr().expect("it is bound");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    sender.connect(address).expect("UDP connects at once");
    let port = address.port().to_string();
    let (process, descriptor) = (std::process::id().to_string(), receiver.as_raw_fd().to_string());
    let sockets = (receiver, sender);
    let ways: [&[&str]; 2] = [&["--port", &port], &["--pid", &process, "--fd", &descriptor]];
    for way in ways {
        assert!(arrives(&sockets));
        let arguments = [&[object.as_str()], way].concat();
        let attached = Attachment::start(&arguments);
        assert!(!arrives(&sockets));
        let second = run(&[&["attach"], &arguments[..]].concat());
        check(&second, 1, &["attaching of all", "has a filter already, an eBPF program"]);
        assert!(!arrives(&sockets));
        attached.signal(Signal::SIGTERM);
        let ended = attached.ended();
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    assert!(arrives(&sockets));
}

fn somebodys_service_starts_again_meanwhile() {
    let objects = Objects::new();
    let object = objects.assembled("drop", ".program all socket\nmov r0, 0\nexit\n");
    let bound = |address: &str| {
        let socket = UdpSocket::bind(address).expect("nobody has the port");
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        socket
    };
    let mut receiver = bound("127.0.0.1:0");
    let address = receiver.local_addr().expect("it is bound");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    sender.connect(address).expect("UDP connects at once");
    let (port, process) = (address.port().to_string(), std::process::id().to_string());
    for by_port in [true, false] {
        let descriptor = receiver.as_raw_fd().to_string();
        let ways: [&[&str]; 2] = [&["--pid", &process, "--fd", &descriptor], &["--port", &port]];
        let attached = Attachment::start(&[&[object.as_str()], ways[usize::from(by_port)]].concat());
        drop(receiver);
        let sockets = (bound(&address.to_string()), sender.try_clone().expect("a descriptor is free"));
        assert!(arrives(&sockets), "the new socket has no filter");
        attached.signal(Signal::SIGTERM);
        let ended = attached.ended();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(arrives(&sockets));
        receiver = sockets.0;
    }
}

fn what_is_attached_to_nothing_says_what_to_say() {
    let objects = Objects::new();
    let refused = |section: &str, arguments: &[&str], status, parts: &[&str]| {
        let text = objects.file("p.s", format!(".program p {section}\nmov r0, 0\nexit\n").as_bytes());
        check(&run(&[&["attach", text.as_str()], arguments].concat()), status, parts);
    };
    refused("socket", &[], 2, &["p (socket) is attached to a socket", "--port PORT, or --pid PID --fd FD"]);
    refused("tracepoint", &[], 2, &["p (tracepoint)", "--tracepoint CATEGORY/NAME"]);
    refused("tc", &[], 2, &["p (tc) is attached to an interface", "--interface IF"]);
    refused(
        "xdp",
        &["--interface", "no-such-if"],
        1,
        &["the interface no-such-if", "ip link", "No such device"],
    );
    refused("cgroup_skb/egress", &[], 2, &["p (cgroup-skb)", "--cgroup PATH"]);
    refused("cgroup_skb/egress", &["--cgroup", "/nowhere"], 1, &["opening the control group /nowhere"]);
    refused(
        "socket",
        &["--interface", "lo"],
        2,
        &["--interface: for programs of type tc and xdp; p is of type socket"],
    );
    refused("xdp", &["--tracepoint", "a/b"], 2, &["--tracepoint: for programs of type tracepoint"]);
    refused("socket", &["--pid", "1"], 2, &["--fd"]);
    refused(
        "socket",
        &["--pid", "4194305", "--fd", "0"],
        1,
        &["descriptor 0 of process 4194305", "no such process runs"],
    );
    refused("tracepoint", &["--tracepoint", "x"], 2, &["such as syscalls/sys_enter_recvfrom"]);
    refused("tc", &["--direction", "up"], 2, &["unknown direction 'up'", "ingress", "egress"]);
    refused("tc", &["--for", "0s"], 2, &["a time above 0"]);
}

fn programs_that_weir_attaches_nowhere_are_refused() {
    let objects = Objects::new();
    let two = ".program a socket\nmov r0, 0\nexit\n.program b xdp\nmov r0, 0\nexit\n.program c kprobe/x\nmov r0, 0\nexit\n";
    let object = objects.assembled("three", two);
    let parts = ["several programs to attach; name one with --program", "b (xdp, section \"xdp\")"];
    check(&run(&["attach", &object]), 1, &parts);
    check(&run(&["attach", &object, "--program", "c"]), 1, &["'c' is of type kprobe", "such as --program a"]);
    check(&run(&["attach", &object, "--program", "d"]), 1, &["no program 'd'"]);
    let object = objects.assembled("one", ".program c kprobe/x\nmov r0, 0\nexit\n");
    check(&run(&["attach", &object]), 1, &["no program to attach", "tcx/ingress", "c (kprobe"]);
    check(&run(&["attach", &objects.file("no.o", b"\x7fELF")]), 1, &["can't be attached"]);
    check(&run(&["attach", "/nowhere"]), 1, &["reading /nowhere"]);
}

fn what_cannot_be_attached_says_why() {
    let objects = Objects::new();
    let refused = |text: &str, arguments: &[&str], parts: &[&str]| {
        let text = objects.file("p.s", text.as_bytes());
        check(&run(&[&["attach", text.as_str()], arguments].concat()), 1, parts);
    };
    let nearly = COUNT.replace("sys_enter_kill", "sys_enter_kil");
    refused(
        &nearly,
        &[],
        &["to the tracepoint syscalls/sys_enter_kil", "did you mean syscalls/sys_enter_kill?"],
    );
    let unreadable = ".program p tp/syscalls/sys_enter_kill\nmov r0, r3\nexit\n";
    refused(unreadable, &[], &["loading p", "the verifier refuses it", "R3 !read_ok", "mov r0, r3"]);
    let too_far = ".program p tp/syscalls/sys_enter_kill\nldxdw r0, [r1 + 2000]\nmov r0, 0\nexit\n";
    refused(too_far, &[], &["attaching of p", "reads more than the tracepoint's record has"]);
    let folder = objects.file("file", b"");
    let group = ".program p cgroup_skb/ingress\nmov r0, 1\nexit\n";
    refused(group, &["--cgroup", &folder], &["BPF_LINK_CREATE", "it is no folder of cgroup2"]);
    let socket = ".program p socket\nmov r0, -1\nexit\n";
    let descriptor = std::fs::File::open("/dev/null").expect("Linux has it");
    let process = std::process::id().to_string();
    let arguments = ["--pid", &process, "--fd", &descriptor.as_raw_fd().to_string()];
    refused(socket, &arguments, &["attaching of p", "Socket operation on non-socket"]);
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    refused(
        socket,
        &["--port", &free.port().to_string()],
        &["UDP port", "there is none in this network namespace"],
    );
}

fn without_privilege_it_says_what_it_needs() {
    let (folder, copy) = copy_for_nobody();
    let text = folder.path().join("p.s");
    std::fs::write(&text, COUNT).expect("our folder");
    let id = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
    ]);
    let output = command.arg(copy).arg("attach").arg(&text).output().expect("setpriv starts");
    check(&Ended::from(output), 1, &["needs root, or CAP_BPF"]);
}
