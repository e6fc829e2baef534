//! `weir experiment` as a process: real runs of weir's own server without a program, and of servers and clients that
//! are not weir's. Those are this test's own binary, started again as a [`stand_in`]. What needs a program in the kernel
//! counts as ignored where that isn't to be had, with the reason in brackets.

mod bad_input;
mod bench;
mod ending;
mod in_kernel;
mod running;
mod stand_in;

use weir_hooks::KernelFilter;
use weir_testing::{Group, Test};

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, role, rest @ ..] = arguments.as_slice()
        && role == stand_in::ROLE
    {
        stand_in::run(rest);
        return;
    }
    let [running, ending, bad_input] = [running::TESTS, ending::TESTS, bad_input::TESTS].map(Group::of);
    let in_kernel = Group::of(in_kernel::TESTS).skipped_for(KernelFilter::lack());
    weir_testing::run([running, ending, bad_input, in_kernel]);
}
