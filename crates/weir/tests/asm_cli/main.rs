//! The commands on eBPF programs, through the binary: round trips, wrong input, runs in the kernel.
//!
//! Where the kernel or the privilege is missing, the runs count as ignored, with the reason in brackets.

mod bad_input;
mod live;
mod round_trip;
mod running;

use weir_hooks::KernelFilter;
use weir_testing::{Group, Test};

const KERNEL: &[Test] = &[
    ("a_run_says_verdict_and_r0", a_run_says_verdict_and_r0),
    ("what_the_verifier_refuses_is_said_with_its_source_line", what_the_verifier_refuses_is_said),
    ("a_type_that_does_not_fit_is_refused", a_type_that_does_not_fit_is_refused),
];

fn main() {
    let kernel = Group::of(KERNEL).skipped_for(KernelFilter::lack());
    let live = live::tests().map(|(test, obstacle)| Group::of(&[*test]).skipped_for(obstacle));
    weir_testing::run(
        [Group::of(bad_input::TESTS), Group::of(round_trip::TESTS), kernel].into_iter().chain(live),
    );
}

fn a_run_says_verdict_and_r0() {
    let check = |program_type: &str, value: &str, verdict: &str| {
        let text = format!("mov r0, {value}\nexit\n");
        let ended =
            running::weir(&["run", "-", "--json", "--type", program_type, "--repeat", "10"], text.as_bytes());
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let said: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("it is JSON");
        assert_eq!(said["verdict"], verdict, "{said}");
        assert_eq!(said["r0"], value.parse::<i32>().expect("a number") as u32, "{said}");
        assert_eq!(said["type"], program_type);
    };
    check("socket", "0", "drop");
    check("socket", "-1", "accept");
    check("xdp", "2", "pass");
    check("tc", "2", "shot");
    check("cgroup-skb", "1", "accept");
    check("flow-dissector", "2", "drop");
}

fn what_the_verifier_refuses_is_said() {
    let ended = running::weir(&["run", "-"], b"; nothing is in r3\nmov r0, r3\nexit\n");
    ended.check(1, &["the verifier refuses it", "mov r0, r3 @ <stdin>:2", "R3 !read_ok"]);
}

fn a_type_that_does_not_fit_is_refused() {
    let text = b".program t \"tracepoint/syscalls/sys_enter_openat\"\nmov r0, 0\nexit\n";
    running::weir(&["run", "-"], text).check(1, &["BPF_PROG_TEST_RUN", "socket, xdp"]);
    let object = running::weir(&["asm", "-"], b"mov r0, 0\nexit\n").stdout;
    running::weir(&["run", "-", "--type", "xdp"], &object).check(2, &["is of type socket"]);
    let other = if cfg!(target_endian = "little") { "big" } else { "little" };
    let object = running::weir(&["asm", "-", "--endian", other], b"mov r0, 0\nexit\n").stdout;
    running::weir(&["run", "-"], &object).check(1, &["the other byte order", "build it for this one"]);
}
