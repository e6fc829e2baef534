//! Nothing of an attachment outlives its guard or its process. `WEIR_LONG=1` makes it 1000 cycles and 50 kills a hook.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::fd::{OwnedFd, RawFd},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use rand::RngExt as _;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use weir_filters::{Hook, Owner, Verdict};

use super::setting::{Setting, fixed, lo_without_super_packets, own_namespace};
use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("cycles_of_attaching_and_detaching_leave_nothing", cycles_leave_nothing),
    once("who_looks_at_links_keeps_none_attached", an_onlooker_keeps_nothing_attached),
    once("a_process_killed_while_it_attaches_leaves_nothing", a_killed_process_leaves_nothing),
];

/// With it in the environment, this binary is the process that is killed.
const CHILD: &str = "WEIR_TEST_ATTACH";

fn is_long() -> bool {
    env::var_os("WEIR_LONG").is_some_and(|value| value == "1")
}

/// What the kernel holds; other processes' don't matter.
#[derive(Debug, Default, PartialEq)]
struct Left {
    /// Of that name.
    programs: usize,
    /// With one of those programs.
    links: usize,
    /// Of theirs.
    maps: usize,
}

fn left(name: &str) -> Left {
    let programs: Vec<u32> = loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| program.name_as_str() == Some(name))
        .map(|program| program.id())
        .collect();
    let links = loaded_links().filter_map(Result::ok).filter(|link| programs.contains(&link.program_id()));
    let map_name = format!("{name}_m");
    let maps =
        loaded_maps().filter_map(Result::ok).filter(|map| map.name_as_str() == Some(map_name.as_str()));
    Left { programs: programs.len(), links: links.count(), maps: maps.count() }
}

/// Of a link the kernel tells where the hook is attached to by one.
fn assert_seen(name: &str) {
    let left = left(name);
    assert!(left.programs >= 1 && left.maps >= 1, "the count sees what is loaded: {left:?}");
}

fn cycles_leave_nothing() {
    for hook in Hook::of_the_kernel() {
        let name = format!("cyc_{hook}");
        let program = name.clone();
        own_namespace(move || {
            lo_without_super_packets();
            let setting = Setting::new(hook, "127.0.0.1:0");
            for _ in 0..if is_long() { 1000 } else { 20 } {
                let filter = fixed(hook, Verdict::Drop, &program);
                let attached = setting.attach(&filter);
                // A socket's program is let go a grace period after it was detached.
                assert_seen(&program);
                drop((attached, filter));
            }
            setting.check_reached(true, "after the cycles");
        });
        assert_eq!(settled(&name), Left::default(), "at {hook}");
    }
}

/// To look at a link takes a descriptor of it, such as `bpftool link` has for a moment.
fn an_onlooker_keeps_nothing_attached() {
    let has_links = |hook: &Hook| matches!(hook.owner(), Owner::ControlGroup | Owner::Interface);
    for hook in Hook::of_the_kernel().filter(has_links) {
        let name = format!("look_{hook}");
        own_namespace(move || {
            lo_without_super_packets();
            let setting = Setting::new(hook, "127.0.0.1:0");
            let filter = fixed(hook, Verdict::Drop, &name);
            let attached = setting.attach(&filter);
            setting.check_reached(false, "while it drops");
            if attached.outlives_its_process() {
                return;
            }
            let onlooker = another_descriptor_of_the_link(&name);
            drop(attached);
            setting.check_reached(true, "when it is detached, and somebody looks at the link");
            drop((setting.attach(&filter), onlooker));
        });
    }
}

/// Of the link of the program of that name, which this process has.
fn another_descriptor_of_the_link(name: &str) -> OwnedFd {
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| program.name_as_str() == Some(name)).expect("it is loaded");
    let line = format!("prog_id:\t{}", program.id());
    let is_the_links = |descriptor: &RawFd| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap_or_default();
        info.contains("link_type") && info.lines().any(|one| one == line)
    };
    let descriptors = fs::read_dir("/proc/self/fd").expect("it is mounted").filter_map(Result::ok);
    let mut numbers = descriptors.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let number = numbers.find(is_the_links).expect("it is attached by a link");
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("Linux 5.3");
    pidfd_getfd(this, number, PidfdGetfdFlags::empty()).expect("Linux 5.6")
}

fn a_killed_process_leaves_nothing() {
    let name = format!("kill_{}", std::process::id());
    for hook in Hook::of_the_kernel() {
        for round in 0..if is_long() { 50 } else { 3 } {
            let mut child = Command::new(env::current_exe().expect("it runs"))
                .env(CHILD, format!("{hook} {name}"))
                .stdout(Stdio::piped())
                .spawn()
                .expect("this binary starts");
            // Every third is killed when it says that it is attached, the others before or after.
            if round % 3 == 0 {
                let mut line = String::new();
                let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
                said.read_line(&mut line).expect("a line comes");
                assert_eq!(line, "attached\n", "{hook}");
                assert_seen(&name);
            } else {
                thread::sleep(Duration::from_micros(rand::rng().random_range(0..60_000)));
            }
            child.kill().expect("it runs");
            child.wait().expect("it was started");
        }
        assert_eq!(settled(&name), Left::default(), "at {hook}");
    }
    weir_testing::ControlGroup::remove_those_of_the_dead();
}

/// What is left when the kernel has done what it puts off, such as destroying a namespace.
fn settled(name: &str) -> Left {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = left(name);
        if left == Left::default() || Instant::now() > deadline {
            return left;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The process that is killed: attaches and detaches for ever, where the environment asks for it.
pub(crate) fn attach_as_child() {
    let Ok(asked) = env::var(CHILD) else { return };
    let (hook, name) = asked.split_once(' ').expect("a hook and a name");
    let hook: Hook = hook.parse().expect("a hook");
    let name = name.to_owned();
    own_namespace(move || {
        lo_without_super_packets();
        let setting = Setting::new(hook, "127.0.0.1:0");
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let filter = fixed(hook, Verdict::Drop, &name);
            let attached = setting.attach(&filter);
            println!("attached");
            std::io::stdout().flush().expect("somebody reads");
            thread::sleep(Duration::from_millis(5));
            drop(attached);
        }
    });
    std::process::exit(1);
}
