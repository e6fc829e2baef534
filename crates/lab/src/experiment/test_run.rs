//! Test runs of a cell's program beside its run: what the program takes by itself, with nothing around it.

use std::thread;

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use weir_filters::{FilterName, Hook, Toolkit};
use weir_results::{
    cell::{Cell, Placement},
    sample::TestRun,
};
use weir_wire::Request;

use super::{
    bench::Bench,
    failure::{RunError, refused},
};
use crate::filter_cost::{Pair, RUNS, packet};

/// Batches of each program: the kernel tells whole nanoseconds, of which a mean of several has parts.
const BATCHES: usize = 5;

/// Test runs of the program of `cell` on the server's core, where the definition asks for statistics of programs and a
/// program of weir's decides. No server may run with statistics on meanwhile: they would time the test runs as well.
///
/// # Errors
/// The programs can't be loaded, or the kernel refuses to run them.
pub(super) fn beside(bench: &Bench<'_>, cell: &Cell) -> Result<Option<TestRun>, RunError> {
    let decides =
        cell.placement == Placement::Kernel && cell.hook == Hook::Socket && cell.toolkit.can_be_asked();
    let is_theirs = cell.external_server.is_some() || cell.guard.is_some();
    if !bench.definition.program_stats || !decides || is_theirs {
        return Ok(None);
    }
    let on_the_core = || {
        confine(&bench.pinning.server)?;
        measure(cell.filter, cell.toolkit)
    };
    let measured = thread::scope(|scope| scope.spawn(on_the_core).join());
    let measured = measured.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let tried = format!("test runs of {} by {}", cell.filter, cell.toolkit);
    measured.map(Some).map_err(refused(tried))
}

/// Keeps this thread on `cores`, or where it is if there are none.
fn confine(cores: &[usize]) -> anyhow::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut allowed = CpuSet::new();
    cores.iter().try_for_each(|&core| allowed.set(core))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &allowed)?)
}

fn measure(filter: FilterName, toolkit: Toolkit) -> anyhow::Result<TestRun> {
    let pair = Pair::load(filter, toolkit)?;
    let put = packet(&Request::Put { key: 10, value: 1 }.to_bytes());
    let mut test_run = TestRun { runs_a_batch: RUNS, accept_all_ns: Vec::new(), program_ns: Vec::new() };
    for _ in 0..BATCHES {
        let [accept_all, program] = pair.times(&put)?.map(|time| time.as_nanos() as u64);
        test_run.accept_all_ns.push(accept_all);
        test_run.program_ns.push(program);
    }
    Ok(test_run)
}
