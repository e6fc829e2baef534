//! Nothing of an attachment outlives its guard or its process. `WEIR_LONG=1` makes it 1000 cycles and 50 kills a hook.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use aya::programs::{loaded_links, loaded_programs};
use rand::RngExt as _;
use weir_filters::{Hook, Verdict};

use super::setting::{HOOKS, Setting, fixed, lo_without_super_packets, own_namespace};
use crate::{Test, once};

pub(super) const TESTS: &[Test] = &[
    once("cycles_of_attaching_and_detaching_leave_nothing", cycles_leave_nothing),
    once("a_process_killed_while_it_attaches_leaves_nothing", a_killed_process_leaves_nothing),
];

/// With it in the environment, this binary is the process that is killed.
const CHILD: &str = "WEIR_TEST_ATTACH";

fn is_long() -> bool {
    env::var_os("WEIR_LONG").is_some_and(|value| value == "1")
}

/// Programs of that name, and links with one of them; other processes' don't matter.
fn left(name: &str) -> (usize, usize) {
    let programs: Vec<u32> = loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| program.name_as_str() == Some(name))
        .map(|program| program.id())
        .collect();
    let links = loaded_links().filter_map(Result::ok).filter(|link| programs.contains(&link.program_id()));
    (programs.len(), links.count())
}

fn cycles_leave_nothing() {
    for (hook, name) in HOOKS.into_iter().zip(["cyc_socket", "cyc_reuse", "cyc_cgroup", "cyc_tc", "cyc_xdp"])
    {
        own_namespace(move || {
            lo_without_super_packets();
            let setting = Setting::new(hook, "127.0.0.1:0");
            for _ in 0..if is_long() { 1000 } else { 20 } {
                let filter = fixed(hook, Verdict::Drop, name);
                let attached = setting.attach(&filter);
                // A socket's program is let go a grace period after it was detached.
                assert!(left(name).0 >= 1, "the count sees what is loaded");
                drop((attached, filter));
            }
            setting.check_reached(true, "after the cycles");
        });
        assert_eq!(settled(name), (0, 0), "at {hook}");
    }
}

fn a_killed_process_leaves_nothing() {
    let name = format!("kill_{}", std::process::id());
    for hook in HOOKS {
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
                assert!(left(&name).0 >= 1, "the count sees what is loaded");
            } else {
                thread::sleep(Duration::from_micros(rand::rng().random_range(0..60_000)));
            }
            child.kill().expect("it runs");
            child.wait().expect("it was started");
        }
        assert_eq!(settled(&name), (0, 0), "at {hook}");
    }
    super::setting::remove_groups_of_the_dead();
}

/// What is left when the kernel has done what it puts off, such as destroying a namespace.
fn settled(name: &str) -> (usize, usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = left(name);
        if left == (0, 0) || Instant::now() > deadline {
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
