//! The audit of a flow: a program on the kernel's `kfree_skb` tracepoint that counts its drops by reason.
//!
//! A raw tracepoint is opened by name: unlike a classic one it needs no tracefs, which many machines don't mount, and
//! unlike a BTF one no ids of types. It costs every drop on the machine some 0.1 to 0.2 µs, so that what is timed goes
//! without.
//!
//! Counts are exact where packets are received on the CPU that sent them, over loopback and veth. Where receive packet
//! steering (RPS) moves them to another CPU, Linux 6.18 doesn't run the program on up to 4 % of a socket filter's drops,
//! with nothing in [`Drops::missed`]: there a ledger has to take the filter's own counts, and this one can't speak against
//! them. What was found out about it, with 300 000 drops a run:
//!
//! - It is nothing of this program: another of 14 instructions, with a map of its own, misses the same drops, and so does
//!   one on `netif_receive_skb`, while one on `netif_rx`, on the sender's CPU, sees every packet.
//! - The tracepoint is reached: perf's counter on it (`perf stat -e skb:kfree_skb`) shows every drop of the same run.
//! - Neither `run_cnt` nor `recursion_misses` has them, with `kernel.bpf_stats_enabled`: the programs are not started.
//! - They are missed some hundred at a time. By the task that was interrupted, every task's drops are there to the packet
//!   except the idle task's: in some soft interrupts that find the receiving CPU idle no program is started.
//! - A counter that an interrupt overtakes is not the reason: the add is atomic, and `run_cnt` agrees with it.

mod counts;
mod kernel;

use std::{net::SocketAddr, os::fd::AsFd as _};

use aya::{Ebpf, programs::RawTracePoint};
use weir_asm::Endian;
use weir_filters::audit::{self, DROPS, Flow, PROGRAM, SLOTS, TRACEPOINT};
use weir_records::Drops;

use crate::{HookError, Map, ProgramFacts, loader, sys};
use kernel::Kernel;

const WHAT: &str = "the audit of drops";

/// Counts the drops of a flow, in every network namespace, until it is dropped. Nothing is pinned: what a killed
/// process attached goes with it.
pub struct Audit {
    kernel: Kernel,
    ebpf: Ebpf,
}

impl Audit {
    /// Whether drops can be audited here: what comes back says what is lacking.
    ///
    /// # Errors
    /// As [`Audit::start`].
    pub fn probe() -> Result<(), HookError> {
        Self::start(Flow::to(SocketAddr::from(([127, 0, 0, 1], 0)))).map(drop)
    }

    /// Counts from now on. Needs root, or CAP_BPF and CAP_PERFMON; besides these CAP_SYSLOG, to tell unread packets
    /// ([`Drops::unread`]) and the parts of fragmented ones. Minimum kernel 5.17, on 64 bits, with its types in /sys/kernel/btf.
    ///
    /// # Errors
    /// Types that can't be read or lack what the program needs, and what the kernel says to loading and attaching it.
    pub fn start(flow: Flow) -> Result<Self, HookError> {
        let kernel = Kernel::running()?;
        let elf = audit::object(flow, &kernel.layout)
            .to_elf(Endian::NATIVE)
            .map_err(|error| HookError::object(WHAT, &error))?;
        let mut ebpf =
            loader::without_kernel_btf().load(&elf).map_err(|error| HookError::probe_object(WHAT, &error))?;
        let program = ebpf.program_mut(PROGRAM).ok_or_else(|| other("opening", "it is not there"))?;
        let program: &mut RawTracePoint =
            program.try_into().map_err(|error| HookError::probe("opening", WHAT, error))?;
        program.load().map_err(|error| HookError::probe("loading", WHAT, error))?;
        program.attach(TRACEPOINT).map_err(|error| HookError::probe("attaching", WHAT, error))?;
        Ok(Self { kernel, ebpf })
    }

    /// What was dropped until now. Over loopback and veth a drop is counted before the packet's `send` returns, unless
    /// receive work is steered to another CPU.
    ///
    /// # Errors
    /// What the kernel says to reading the map.
    pub fn read(&self) -> Result<Drops, HookError> {
        let cpus = Map::of(&self.ebpf, DROPS)?.get(0)?.unwrap_or_default();
        let mut counts = [0; SLOTS];
        for cpu in &cpus {
            counts.iter_mut().zip(cpu).for_each(|(sum, count)| *sum += count);
        }
        let knows_unread = self.kernel.layout.code.closing_socket.is_some();
        Ok(counts::drops(&counts, &self.kernel.reasons, knows_unread, self.missed()?))
    }

    /// What the kernel says of the program.
    ///
    /// # Errors
    /// What the kernel says instead.
    pub fn facts(&self) -> Result<ProgramFacts, HookError> {
        let info = self.program()?.info();
        Ok(info.map_err(|error| HookError::probe("asking the kernel", WHAT, error))?.into())
    }

    fn missed(&self) -> Result<u64, HookError> {
        let fd = self.program()?.fd().map_err(|error| HookError::probe("asking the kernel", WHAT, error))?;
        let missed = sys::recursion_misses(fd.as_fd()).map_err(|error| error.to_string());
        let missed =
            missed.and_then(|missed| missed.ok_or("the kernel counts none (Linux 5.12 does)".to_owned()));
        missed.map_err(|reason| other("reading the misses", reason))
    }

    fn program(&self) -> Result<&RawTracePoint, HookError> {
        let program = self.ebpf.program(PROGRAM).ok_or_else(|| other("opening", "it is not there"))?;
        program.try_into().map_err(|error| HookError::probe("opening", WHAT, error))
    }
}

fn other(doing: &'static str, reason: impl Into<String>) -> HookError {
    HookError::Other { doing, what: WHAT.to_owned(), reason: reason.into() }
}
