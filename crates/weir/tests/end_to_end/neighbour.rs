//! Busy neighbours: where they run, what they say, and that they go.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use weir_lab::neighbour::{Neighbours, SUBCOMMAND};
use weir_testing::Test;

use crate::{net::two_cores, running::weir};

pub(crate) const TESTS: &[Test] = &[
    ("neighbours_work_where_they_are_put_and_say_what_they_did", neighbours_work_where_they_are_put),
    ("neighbours_go_when_their_parent_is_killed", neighbours_go_when_their_parent_is_killed),
];

fn neighbours() -> Neighbours {
    let [core, _] = two_cores();
    Neighbours::start_by(|| weir(&[SUBCOMMAND]), &[vec![core], vec![]]).expect("they start")
}

fn neighbours_work_where_they_are_put() {
    let [core, _] = two_cores();
    let running = neighbours();
    let children = neighbours_of(std::process::id());
    let confined = children.iter().filter(|pid| of_status(**pid, "Cpus_allowed_list:") == core.to_string());
    assert_eq!((children.len(), confined.count()), (2, 1), "{children:?}");
    std::thread::sleep(Duration::from_millis(100));
    let records = running.stop().expect("they say what they did");
    assert_eq!(records.iter().map(|record| record.cores.as_slice()).collect::<Vec<_>>(), [&[core][..], &[]]);
    for record in &records {
        assert!(record.passes > 0 && record.cpu_us > 0, "{record:?}");
        assert!(record.wall_ns >= 100_000_000, "{record:?}");
    }
    drop(neighbours());
    assert_eq!(neighbours_of(std::process::id()), [0; 0]);
}

/// What [`main`](crate::main) is told by, to have neighbours instead of testing.
pub(crate) const HOLD: &str = "WEIR_TEST_HAS_NEIGHBOURS";

/// Has neighbours until it is killed, a minute at most; says on stdout when they work.
pub(crate) fn hold() {
    let _neighbours = neighbours();
    println!("up");
    std::thread::sleep(Duration::from_secs(60));
}

fn neighbours_go_when_their_parent_is_killed() {
    let myself = std::env::current_exe().expect("it is known");
    let mut holder = Command::new(myself).env(HOLD, "1").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut said = [0; 3];
    holder.stdout.take().expect("it is piped").read_exact(&mut said).expect("it says when they work");
    let children = neighbours_of(holder.id());
    assert_eq!(children.len(), 2);
    holder.kill().expect("it runs");
    holder.wait().expect("it is our child");
    let deadline = Instant::now() + Duration::from_secs(10);
    while children.iter().any(|pid| is_neighbour(*pid)) {
        assert!(Instant::now() < deadline, "one of {children:?} still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The neighbours that are children of a process.
fn neighbours_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc")
        .expect("it is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| of_status(*pid, "PPid:") == parent.to_string() && is_neighbour(*pid)).collect()
}

fn of_status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().trim().to_owned()
}

/// A process that is killed and not waited for yet has no command line.
fn is_neighbour(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = words.split(|byte| *byte == 0);
    words.next().is_some_and(|program| program.ends_with(b"weir"))
        && words.next() == Some(SUBCOMMAND.as_bytes())
}
