//! Probes on receive calls: what is counted, what is not, and what stays mounted.

use std::{
    io::ErrorKind,
    net::UdpSocket,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::Barrier,
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use weir_filters::fun::probe::Probe;
use weir_hooks::{ReceiveProbe, TraceLines};

use crate::{Test, once};

pub(crate) const TESTS: &[Test] = &[
    once("threads_on_two_cpus_are_counted_exactly", threads_on_two_cpus_are_counted_exactly),
    once("both_receive_calls_are_counted_and_others_are_not", both_receive_calls_are_counted),
    once("printk_writes_a_line_a_call_for_one_reader", printk_writes_a_line_a_call_for_one_reader),
    once("tracefs_is_mounted_for_nobody_else", tracefs_is_mounted_for_nobody_else),
];

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_nonblocking(true).expect("a socket can be non-blocking");
    socket
}

fn watch(probe: Probe, socket: &UdpSocket) -> ReceiveProbe {
    ReceiveProbe::attach(probe, socket.as_fd()).unwrap_or_else(|error| panic!("{probe:?}: {error}"))
}

/// One recvfrom(2), of nothing.
fn receive_one(socket: &UdpSocket) {
    let error = socket.recv(&mut [0; 16]).expect_err("nothing was sent");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

/// One recvmmsg(2), of nothing.
fn receive_many(socket: &UdpSocket) {
    // SAFETY: there is no room for a message, so that nothing is written.
    let received =
        unsafe { libc::recvmmsg(socket.as_raw_fd(), std::ptr::null_mut(), 0, 0, std::ptr::null_mut()) };
    assert_eq!(received, 0);
}

const ROUNDS: usize = 10;
const CALLS: u64 = 2000;

/// In each round both threads begin at once, and find no entry: one makes it.
fn threads_on_two_cpus_are_counted_exactly() {
    for round in 0..ROUNDS {
        let socket = socket();
        let probe = watch(Probe::Snoop, &socket);
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for cpu in 0..2 {
                let (socket, start) = (&socket, &start);
                scope.spawn(move || {
                    run_on(cpu);
                    start.wait();
                    (0..CALLS).for_each(|_| receive_one(socket));
                });
            }
        });
        let calls = probe.calls().expect("the map is read");
        assert_eq!(calls.counted, 2 * CALLS, "round {round}: {calls:?}");
    }
}

/// On a machine of one CPU the threads take turns.
fn run_on(cpu: usize) {
    let mut only = CpuSet::new();
    only.set(cpu).expect("a CPU number");
    let _ = sched_setaffinity(Pid::from_raw(0), &only);
}

fn both_receive_calls_are_counted() {
    let (watched, other) = (socket(), socket());
    let probe = watch(Probe::Snoop, &watched);
    let counted = || probe.calls().expect("the map is read").counted;
    assert_eq!(counted(), 0);
    (0..3).for_each(|_| receive_one(&watched));
    assert_eq!(counted(), 3);
    (0..2).for_each(|_| receive_many(&watched));
    assert_eq!(counted(), 5);
    receive_one(&other);
    receive_many(&other);
    watched.send_to(b"x", watched.local_addr().expect("it is bound")).expect("send");
    assert_eq!(counted(), 5);
}

fn lines(pipe: &mut TraceLines) -> Vec<String> {
    let mut lines = Vec::new();
    pipe.look(|line| lines.push(line.to_owned())).expect("it is read");
    lines
}

fn printk_writes_a_line_a_call_for_one_reader() {
    let (watched, other) = (socket(), socket());
    let mut probe = watch(Probe::Printk, &watched);
    let mut pipe = probe.take_lines().expect("there is one reader");
    assert!(probe.take_lines().is_none());
    receive_one(&watched);
    receive_one(&other);
    receive_many(&watched);
    let shown = lines(&mut pipe);
    let start = format!("weir: process {}, socket {}: system call", std::process::id(), watched.as_raw_fd());
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].ends_with(&format!("{start} {}", libc::SYS_recvfrom)), "{shown:?}");
    assert!(shown[1].ends_with(&format!("{start} {}", libc::SYS_recvmmsg)), "{shown:?}");

    let error = ReceiveProbe::attach(Probe::Printk, other.as_fd()).err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|error| error.contains("one reader at a time")), "{error:?}");

    drop(probe);
    receive_one(&watched);
    assert_eq!(lines(&mut pipe), [""; 0]);
}

fn tracefs_is_mounted_for_nobody_else() {
    let mounts = || std::fs::read_to_string("/proc/self/mounts").expect("Linux has it");
    let before = mounts();
    let socket = socket();
    let probe = watch(Probe::Snoop, &socket);
    assert_eq!(mounts(), before);
    drop(probe);
    assert_eq!(mounts(), before);
}
