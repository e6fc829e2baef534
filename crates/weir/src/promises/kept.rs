//! Programs at xdp that test runs find where the kernel calls them from.

use std::{fs::File, thread};

use anyhow::Context as _;
use nix::sched::{CloneFlags, unshare};
use weir_hooks::{Attached, Interface, KernelFilter, Target, XdpMode};

/// A program that is in the kernel's dispatcher for XDP because a device has it.
///
/// A test run puts a program there and takes it away again (net/bpf/test_run.c, `bpf_prog_change_xdp`), for which the
/// system call takes milliseconds on and off, unless it is there already.
pub(super) struct Kept {
    _attached: Attached,
    /// The device's, which goes with it.
    _namespace: File,
}

impl Kept {
    /// Attaches it to the loopback device of a network namespace of its own, where nothing comes by.
    pub(super) fn new(program: &KernelFilter) -> anyhow::Result<Self> {
        let attach = || -> anyhow::Result<Self> {
            unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace (unshare); needs root")?;
            let namespace = File::open("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net")?;
            let device = Interface::named("lo").context("looking for the loopback device")?;
            let attached = program.attach(Target::Xdp(&device, XdpMode::Generic))?;
            Ok(Self { _attached: attached, _namespace: namespace })
        };
        // A namespace is a thread's, which ends.
        thread::scope(|scope| scope.spawn(attach).join().expect("it does not panic"))
    }
}
