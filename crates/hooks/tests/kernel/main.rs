//! Tests against the running kernel: real loads, real sockets, `BPF_PROG_TEST_RUN`.
//!
//! Where the kernel or the privilege is missing they count as ignored, with the reason in brackets; with
//! `WEIR_REQUIRE_KERNEL=1` in the environment they fail instead.

mod any;
mod attaching;
mod audit;
mod classic;
mod compilers;
mod dynamic;
mod equivalence;
mod frames;
mod guards;
mod loading;
mod maps;
mod older;
mod places;
mod probes;
mod sockets;
mod translated;
mod typed_maps;

use std::{net::UdpSocket, sync::OnceLock};

use weir_filters::{Combination, Filter, FilterName, Hook, Site, Toolkit, audit::Flow};
use weir_hooks::{Audit, HookError, KernelFilter, gso_layout};
use weir_testing::Group;

/// A test by name.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    name: &'static str,
    run: Run,
    /// What this kernel lacks that the test is about.
    lack: fn() -> Option<String>,
}

impl Test {
    /// Of something that older kernels haven't got.
    pub(crate) const fn unless(self, lack: fn() -> Option<String>) -> Self {
        Self { lack, ..self }
    }
}

#[derive(Clone, Copy)]
enum Run {
    Once(fn()),
    /// With each toolkit that the kernel's programs can be written with.
    Each(fn(Toolkit)),
}

pub(crate) const fn once(name: &'static str, run: fn()) -> Test {
    Test { name, run: Run::Once(run), lack: || None }
}

pub(crate) const fn each(name: &'static str, run: fn(Toolkit)) -> Test {
    Test { name, run: Run::Each(run), lack: || None }
}

fn main() {
    places::attach_as_child();
    let tests = [
        any::TESTS,
        attaching::TESTS,
        audit::TESTS,
        audit::headers::TESTS,
        classic::TESTS,
        compilers::TESTS,
        &dynamic::tests(),
        equivalence::TESTS,
        frames::TESTS,
        guards::TESTS,
        loading::TESTS,
        maps::TESTS,
        older::TESTS,
        &places::TESTS.concat(),
        probes::TESTS,
        sockets::TESTS,
        typed_maps::TESTS,
    ]
    .concat();
    let obstacle = KernelFilter::lack();
    let groups = tests.into_iter().map(|Test { name, run, lack }| {
        let mut group = Group::default();
        match run {
            Run::Once(run) => group.push(name, run),
            Run::Each(run) => {
                for toolkit in kernel_toolkits() {
                    group.push(format!("{toolkit}::{name}"), move || run(toolkit));
                }
            }
        }
        let lack = obstacle.is_none().then(lack).flatten();
        group.skipped_for(obstacle.clone()).inapplicable_for(lack)
    });
    weir_testing::run(groups);
}

/// Classic BPF has its own tests, over sockets.
fn kernel_toolkits() -> impl Iterator<Item = Toolkit> {
    let filter = FilterName::Simple;
    let in_kernel =
        move |toolkit| weir_hooks::available(Combination { filter, toolkit, hook: Hook::Socket }).is_ok();
    Toolkit::ALL.into_iter().filter(move |&toolkit| in_kernel(toolkit) && toolkit.can_be_asked())
}

/// What the running kernel lacks for something that was tried; any other failure is for the test to show.
fn lack_for<T>(tried: Result<T, HookError>) -> Option<String> {
    match tried {
        Err(HookError::KernelLacks { reason }) => Some(reason),
        _ => None,
    }
}

/// Of programs that tell packets of several datagrams where their context doesn't.
pub(crate) fn no_gso() -> Option<String> {
    static LACK: OnceLock<Option<String>> = OnceLock::new();
    LACK.get_or_init(|| lack_for(gso_layout(Hook::Reuseport))).clone()
}

/// Of audits.
pub(crate) fn no_drop_reasons() -> Option<String> {
    static LACK: OnceLock<Option<String>> = OnceLock::new();
    LACK.get_or_init(|| lack_for(Audit::start(Flow::to(([127, 0, 0, 1], 9).into())))).clone()
}

/// A loaded filter, or a failed test.
fn load(filter: impl Into<Filter>, toolkit: Toolkit) -> KernelFilter {
    let filter = filter.into();
    KernelFilter::load(filter, toolkit, &Site::socket())
        .unwrap_or_else(|error| panic!("{filter:?} with {toolkit}: {error}"))
}

/// A receiver that doesn't wait, and a sender to it. Over loopback a packet is delivered, or dropped, before `send`
/// returns.
pub(crate) fn pair(address: &str) -> (UdpSocket, UdpSocket) {
    let receiver = UdpSocket::bind(address).expect("a free port");
    receiver.set_nonblocking(true).expect("a socket can be non-blocking");
    let sender = UdpSocket::bind(address).expect("a free port");
    sender.connect(receiver.local_addr().expect("it is bound")).expect("UDP connects at once");
    (receiver, sender)
}
