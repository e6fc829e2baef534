//! What real clients and servers say to each other goes through a guard of their protocol: a row for each exchange, judged while
//! it goes on, by the guard's programs at every hook, and again in its capture, by `weir guard try`.
//!
//! `scripts/setup.sh --tests` installs the programs. Nothing of it leaves the network namespaces that the test makes.

mod before;
mod exchange;
mod guarded;
mod heard;
mod processes;
mod rows;
mod watched;

use weir_guard::protocols;
use weir_hooks::KernelFilter;
use weir_testing::{ControlGroup, Group, Test};

const TESTS: &[Test] = &[("each_protocol_is_tried_or_it_is_said_why_not", each_protocol_is_tried)];

/// What has neither server nor client in Debian.
const UNTRIED: &[(&str, &str)] = &[
    ("raknet", "Minecraft's programs, and those of RakNet's other games, are nobody's to package"),
    ("teamspeak3", "its programs are not free"),
];

fn main() {
    let mut exchanges = Group::default();
    for row in rows::all() {
        exchanges.push(format!("{}_{}", row.protocol, row.name), move || exchange::goes_through(row));
    }
    let obstacle = KernelFilter::lack();
    if obstacle.is_none() {
        ControlGroup::remove_those_of_the_dead();
    }
    let [before, watched] =
        [before::tests(), Group::of(watched::TESTS)].map(|group| group.skipped_for(obstacle.clone()));
    weir_testing::run([Group::of(TESTS), exchanges.skipped_for(obstacle), before, watched]);
}

fn each_protocol_is_tried() {
    for shipped in protocols::ALL {
        let is_tried = rows::all().any(|row| row.protocol == shipped.name);
        let is_untried = UNTRIED.iter().any(|(name, _)| *name == shipped.name);
        assert_ne!(is_tried, is_untried, "{}", shipped.name);
    }
}
