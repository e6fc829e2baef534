//! End to end through the binary: real servers, real clients, the real kernel.
//!
//! Where the kernel or the privilege is missing, the tests that attach a program count as ignored, with the reason in
//! brackets.

mod attaching;
mod bad_input;
mod dynamic;
mod guarding;
mod guards;
mod hooks;
mod neighbour;
mod net;
mod objects;
mod older;
mod originals;
mod privileges;
mod running;
mod serving;
mod swapping;
mod toolkits;
mod watching;
mod workers;

use weir_filters::Hook;
use weir_hooks::{KernelFilter, gso_layout};
use weir_testing::Group;

fn main() {
    if std::env::var_os(net::HOLD).is_some() {
        return net::hold();
    }
    if std::env::var_os(neighbour::HOLD).is_some() {
        return neighbour::hold();
    }
    let obstacle = KernelFilter::lack();
    let in_kernel = [
        attaching::IN_KERNEL,
        serving::IN_KERNEL,
        watching::IN_KERNEL,
        privileges::IN_KERNEL,
        dynamic::IN_KERNEL,
        guarding::IN_KERNEL,
        guarding::CHANGING,
        guarding::FOLLOWING,
        guards::IN_KERNEL,
        hooks::IN_KERNEL,
        net::TESTS,
        objects::IN_KERNEL,
        older::IN_KERNEL,
        originals::IN_KERNEL,
        toolkits::IN_KERNEL,
        workers::IN_KERNEL,
    ]
    .map(Group::of);
    let in_kernel = in_kernel.map(|group| group.skipped_for(obstacle.clone()));
    let anywhere = [
        attaching::ANYWHERE,
        serving::ANYWHERE,
        watching::ANYWHERE,
        bad_input::ANYWHERE,
        dynamic::ANYWHERE,
        guarding::ANYWHERE,
        guards::ANYWHERE,
        hooks::ANYWHERE,
        neighbour::TESTS,
        objects::ANYWHERE,
        originals::ANYWHERE,
        toolkits::ANYWHERE,
        workers::ANYWHERE,
    ]
    .map(Group::of);
    // What older kernels lack.
    let untold = || gso_layout(Hook::Xdp).err().map(|error| error.to_string());
    let no_guards_at_xdp =
        || (!guards::has_guards(&Hook::Xdp)).then(|| "guards at xdp are from Linux 5.18 on".to_owned());
    let unless = |tests, lack: fn() -> Option<String>| {
        let lack = obstacle.is_none().then(lack).flatten();
        Group::of(tests).skipped_for(obstacle.clone()).inapplicable_for(lack)
    };
    let older = [
        unless(hooks::TOLD, untold),
        unless(privileges::TOLD, untold),
        unless(hooks::ON_LOOPBACK, hooks::no_super_packets_on_loopback),
        unless(guarding::AT_XDP, no_guards_at_xdp),
        unless(guards::ON_LOOPBACK, hooks::no_super_packets_on_loopback),
        unless(older::ON_LOOPBACK, hooks::no_super_packets_on_loopback),
        unless(workers::ON_LOOPBACK, hooks::no_super_packets_on_loopback),
        unless(net::WHOLE, net::no_whole_super_packets),
    ];
    weir_testing::run(anywhere.into_iter().chain(in_kernel).chain(older));
}
