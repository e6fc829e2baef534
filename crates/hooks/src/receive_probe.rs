//! A probe on a socket's receive calls: loaded, attached to the tracepoints, and read.

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
};

use aya::{Ebpf, programs::TracePoint};
use weir_asm::{Endian, maps::Hash};
use weir_filters::fun::probe::{self, CALLS, PROGRAM, Probe, TRACEPOINTS, Watched};

use crate::{HookError, Map, TraceLines, loader, sys, tracefs};

/// A probe at [`TRACEPOINTS`], for as long as it lives. Nothing is pinned: a killed process leaves nothing.
pub struct ReceiveProbe {
    probe: Probe,
    ebpf: Ebpf,
    watched: Watched,
    lines: Option<TraceLines>,
}

/// The receive calls that a probe was called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveCalls {
    /// Those that it counted.
    pub counted: u64,
    /// Calls, of any process, that the kernel didn't run it for, because another program ran on that CPU at that
    /// moment (`recursion_misses`). Nothing before Linux 5.12, which doesn't count them.
    pub missed: Option<u64>,
}

impl ReceiveProbe {
    /// Watches this process's receive calls on that socket from now on.
    ///
    /// Needs root; or CAP_BPF and CAP_PERFMON, and tracefs mounted where it can be read (CAP_SYS_ADMIN mounts it,
    /// CAP_DAC_READ_SEARCH reads it). Minimum kernel 5.7, for `printk` 5.9, with CONFIG_FTRACE_SYSCALLS.
    pub fn attach(probe: Probe, socket: impl AsFd) -> Result<Self, HookError> {
        let watched = watched(socket.as_fd().as_raw_fd()).map_err(HookError::PidNamespace)?;
        let mut ebpf = load(probe, watched)?;
        let lines = tracefs::mounted(|| {
            let lines = (probe == Probe::Printk).then(|| TraceLines::open(probe::line_start(watched)));
            let program = program(&mut ebpf, probe)?;
            for (category, name) in TRACEPOINTS {
                let attached = program.attach(category, name);
                attached.map_err(|error| HookError::probe("attaching", name_of(probe), error))?;
            }
            lines.transpose()
        })?;
        Ok(Self { probe, ebpf, watched, lines })
    }

    /// How many calls there were so far: none for a probe that doesn't count.
    pub fn calls(&self) -> Result<ReceiveCalls, HookError> {
        let counted = match self.probe {
            Probe::Snoop => {
                let calls: Map<Hash<u32, u64>> = Map::of(&self.ebpf, CALLS)?;
                calls.get(self.watched.process)?.unwrap_or(0)
            }
            Probe::Printk => 0,
        };
        Ok(ReceiveCalls { counted, missed: self.missed()? })
    }

    /// The lines that the program writes; there is one reader.
    pub fn take_lines(&mut self) -> Option<TraceLines> {
        self.lines.take()
    }

    fn missed(&self) -> Result<Option<u64>, HookError> {
        let what = name_of(self.probe);
        let program = self.ebpf.program(PROGRAM).expect("it was loaded");
        let descriptor = program.fd().map_err(|error| HookError::probe("asking the kernel", what, error))?;
        sys::recursion_misses(descriptor.as_fd()).map_err(|error| HookError::Other {
            doing: "reading the misses",
            what: what.to_owned(),
            reason: error.to_string(),
        })
    }
}

fn load(probe: Probe, watched: Watched) -> Result<Ebpf, HookError> {
    let name = name_of(probe);
    let elf = probe::object(probe, watched).to_elf(Endian::NATIVE);
    let elf = elf.map_err(|error| HookError::object(name, &error))?;
    let loaded = loader::without_kernel_btf().load(&elf);
    let mut ebpf = loaded.map_err(|error| HookError::probe_object(name, &error))?;
    let loaded = program(&mut ebpf, probe)?.load();
    loaded.map_err(|error| HookError::probe("loading", name, error))?;
    Ok(ebpf)
}

fn program(ebpf: &mut Ebpf, probe: Probe) -> Result<&mut TracePoint, HookError> {
    let program = ebpf.program_mut(PROGRAM).expect("the object was made with it");
    program.try_into().map_err(|error| HookError::probe("opening", name_of(probe), error))
}

const fn name_of(probe: Probe) -> &'static str {
    match probe {
        Probe::Snoop => "snoop",
        Probe::Printk => "printk",
    }
}

fn watched(socket: i32) -> io::Result<Watched> {
    let namespace = fs::metadata("/proc/self/ns/pid")?;
    // The kernel's own numbering of devices: MKDEV, include/linux/kdev_t.h.
    let device = namespace.dev();
    let device = u64::from(libc::major(device)) << 20 | u64::from(libc::minor(device));
    Ok(Watched { process: std::process::id(), namespace: (device, namespace.ino()), socket })
}
