//! The toolkits beside each other: what every filter is by each of them, read from its source and from the kernel, and
//! measured.

mod stack;

use std::{net::UdpSocket, time::Instant};

use serde::Serialize;
use weir_filters::{Binding, Combination, Filter, FilterName, Hook, Site, Toolkit, cbpf};
use weir_hooks::{HookError, KernelFilter};
use weir_lab::filter_cost::{self, Pair};
use weir_results::stats::Estimate;
use weir_wire::Request;

/// Loads of each program that are timed, the toolkits in turn.
pub const LOADS: usize = 20;

/// A filter by a toolkit.
#[derive(Clone, Debug, Serialize)]
pub struct ToolkitCost {
    /// The filter.
    pub filter: FilterName,
    /// How it is written.
    pub toolkit: Toolkit,
    /// Instructions of the program as its toolkit wrote it, 8 bytes each.
    pub instructions_written: usize,
    /// The same as the kernel keeps it, after the verifier's rewriting; null where the kernel hides it, as it does all
    /// that it makes of classic BPF.
    pub instructions_translated: Option<u32>,
    /// Instructions that the verifier walked through; null before Linux 5.16 and for classic BPF.
    pub verified_instructions: Option<u32>,
    /// Machine code, bytes; 0 where the JIT is off, null for classic BPF.
    pub jited_bytes: Option<u32>,
    /// The deepest byte of the stack that the written program names.
    pub stack_bytes: usize,
    /// From the specification to a verified program in the kernel, ms; for classic BPF, which the kernel gets then, to
    /// one that is attached.
    pub load_ms: Estimate,
    /// Mean of a run on a PUT less the same toolkit's accept-all program, ns; null for classic BPF, which the kernel
    /// doesn't run on given bytes.
    pub ns_over_accept_all: Option<Estimate>,
}

/// What a toolkit asks for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Needs {
    /// The toolkit.
    pub toolkit: Toolkit,
    /// What must be installed to build its programs.
    pub to_build: &'static str,
    /// What must be there to load them.
    pub to_load: &'static str,
}

/// The toolkits with which a filter can be written for the socket.
pub fn of(filter: FilterName) -> impl Iterator<Item = Toolkit> {
    let at_socket = move |toolkit: &Toolkit| {
        weir_hooks::available(Combination { filter, toolkit: *toolkit, hook: Hook::Socket }).is_ok()
    };
    Toolkit::ALL.into_iter().filter(at_socket)
}

/// What `toolkit` asks for.
pub const fn needs(toolkit: Toolkit) -> Needs {
    Needs { toolkit, to_build: toolkit.to_build(), to_load: toolkit.to_load() }
}

/// A filter by a toolkit that the kernel takes no program of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedFilter {
    /// The filter.
    pub filter: FilterName,
    /// How it is written.
    pub toolkit: Toolkit,
    /// What was tried, and what came back.
    pub reason: String,
}

/// The toolkits beside each other.
#[derive(Clone, Debug, Default)]
pub struct ToolkitComparison {
    /// What was measured.
    pub rows: Vec<ToolkitCost>,
    /// What couldn't be.
    pub refusals: Vec<RefusedFilter>,
}

/// How a filter by a toolkit is loaded.
pub type Loader<'a> = &'a dyn Fn(FilterName, Toolkit) -> Result<KernelFilter, HookError>;

/// Measures every filter of `filters` with every toolkit that has it; `say` hears what is being done. One that the kernel
/// refuses keeps no other from being measured.
///
/// # Errors
/// The privilege is missing; a program that was loaded can't be run.
pub fn measure(filters: &[FilterName], say: &mut dyn FnMut(&str)) -> anyhow::Result<ToolkitComparison> {
    KernelFilter::probe()?;
    measure_by(&load, filters, say)
}

/// [`measure`], by programs that `load` loads.
///
/// # Errors
/// A program that was loaded can't be run.
pub fn measure_by(
    load: Loader<'_>,
    filters: &[FilterName],
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<ToolkitComparison> {
    let mut comparison = ToolkitComparison::default();
    for &filter in filters {
        say(filter.as_str());
        let mut toolkits = Vec::new();
        for toolkit in of(filter) {
            // What a filter costs is told beside the toolkit's program that accepts all.
            let tried =
                load_ms(load, filter, toolkit).and_then(|_| load_ms(load, FilterName::Simple, toolkit));
            match tried {
                Ok(_) => toolkits.push(toolkit),
                Err(error) => {
                    comparison.refusals.push(RefusedFilter { filter, toolkit, reason: error.in_a_line() });
                }
            }
        }
        let loads = in_turn(&toolkits, LOADS, |toolkit| Ok(load_ms(load, filter, *toolkit)?))?;
        let asked: Vec<_> = toolkits.iter().copied().filter(|toolkit| toolkit.can_be_asked()).collect();
        let pairs =
            asked.iter().map(|&toolkit| Pair::load(filter, toolkit)).collect::<anyhow::Result<Vec<_>>>()?;
        let packet = filter_cost::packet(&Request::Put { key: 10, value: 1 }.to_bytes());
        let costs = in_turn(&pairs, filter_cost::BATCHES, |pair| pair.difference(&packet))?;
        for (toolkit, load) in toolkits.into_iter().zip(&loads) {
            let cost = asked.iter().position(|other| *other == toolkit).map(|at| median(&costs[at]));
            comparison.rows.push(row(filter, toolkit, median(load), cost)?);
        }
    }
    Ok(comparison)
}

/// `times` values of each of `subjects`, one of each a round, and each round begun by another.
fn in_turn<T>(
    subjects: &[T],
    times: usize,
    measure: impl Fn(&T) -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut values = vec![Vec::with_capacity(times); subjects.len()];
    for round in 0..times {
        for turn in 0..subjects.len() {
            let at = (round + turn) % subjects.len();
            values[at].push(measure(&subjects[at])?);
        }
    }
    Ok(values)
}

fn median(values: &[f64]) -> Estimate {
    Estimate::of(values).expect("there is a round")
}

fn load_ms(load: Loader<'_>, filter: FilterName, toolkit: Toolkit) -> Result<f64, HookError> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a port");
    let started = Instant::now();
    let loaded = load(filter, toolkit)?;
    let attached = (!toolkit.can_be_asked()).then(|| loaded.attach(&socket)).transpose()?;
    let taken = started.elapsed();
    drop((attached, loaded));
    Ok(taken.as_secs_f64() * 1e3)
}

fn load(filter: FilterName, toolkit: Toolkit) -> Result<KernelFilter, HookError> {
    KernelFilter::load(with_parameters(filter, toolkit), toolkit, &Site::socket())
}

/// The filter as the toolkit can write it.
pub fn with_parameters(filter: FilterName, toolkit: Toolkit) -> Filter {
    let usual = Filter::from(filter);
    let constant = Filter { binding: Binding::Constant, ..usual };
    if weir_hooks::loadable(usual, toolkit, Hook::Socket).is_ok() { usual } else { constant }
}

fn row(
    filter: FilterName,
    toolkit: Toolkit,
    load_ms: Estimate,
    ns_over_accept_all: Option<Estimate>,
) -> anyhow::Result<ToolkitCost> {
    let facts = toolkit.can_be_asked().then(|| load(filter, toolkit)?.facts());
    let facts = facts.transpose()?;
    let (instructions_written, stack_bytes) = written(filter, toolkit)?;
    Ok(ToolkitCost {
        filter,
        toolkit,
        instructions_written,
        instructions_translated: facts.and_then(|facts| facts.translated_bytes).map(|bytes| bytes / 8),
        verified_instructions: facts.and_then(|facts| facts.verified_instructions),
        jited_bytes: facts.map(|facts| facts.jited_bytes),
        stack_bytes,
        load_ms,
        ns_over_accept_all,
    })
}

/// Instructions, and bytes of the stack. Classic programs have no stack but 16 words of memory, which none of ours uses.
fn written(filter: FilterName, toolkit: Toolkit) -> anyhow::Result<(usize, usize)> {
    let filter = with_parameters(filter, toolkit);
    if toolkit == Toolkit::Cbpf {
        let program = cbpf::program(filter).map_err(|gap| anyhow::anyhow!("{}: {gap}", filter.name))?;
        return Ok((program.len(), 0));
    }
    let code = KernelFilter::written(filter, toolkit, &Site::socket())?;
    // As llvm-objdump and the kernel count them: a 64-bit immediate takes two.
    Ok((code.slots(), stack::bytes(&code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_in_turn_and_each_begins_a_round() {
        let order = std::cell::RefCell::new(String::new());
        let values = in_turn(&["a", "b"], 4, |subject| {
            order.borrow_mut().push_str(subject);
            Ok(order.borrow().len() as f64)
        })
        .expect("nothing fails");
        assert_eq!(order.into_inner(), "abbaabba");
        assert_eq!(values, [[1.0, 4.0, 5.0, 8.0], [2.0, 3.0, 6.0, 7.0]]);
    }
}
