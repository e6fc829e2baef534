//! `weir experiment` as a process: real runs of weir's own server without a program, and of servers and clients that
//! are not weir's. Those are this test's own binary, started again as a [`stand_in`].

mod bad_input;
mod bench;
mod ending;
mod running;
mod stand_in;

use weir_testing::{Group, Test};

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, role, rest @ ..] = arguments.as_slice()
        && role == stand_in::ROLE
    {
        stand_in::run(rest);
        return;
    }
    weir_testing::run([running::TESTS, ending::TESTS, bad_input::TESTS].map(Group::of));
}
