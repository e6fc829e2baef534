//! The toolkit `fun`: every filter as an eBPF program that is generated from its specification when it is asked for.
//!
//! A function of the specification alone: the same filter gives the same object, to the byte.

mod capture;
mod command;
pub mod map;
pub mod probe;
mod verdict;

use weir_asm::{Code, MapDef, Object, Program, show, text};
use weir_asm_macros::ebpf;
use weir_wire::maps;

use crate::{Binding, Filter, FilterName, Parameter, Site, Verdict};

/// The licence that the kernel reads: some helpers are for GPL-compatible programs only.
pub(crate) const LICENSE: &str = "Dual MIT/GPL";

/// Loaders know by the section's name that the program is a socket filter.
const SECTION: &str = "socket";

/// The filter's program, alone in its object, with the maps that it uses.
///
/// The program's source is its own listing, so that the verifier's log quotes the instruction that it refuses.
///
/// # Panics
/// Never: every filter's listing assembles, which a test sees to.
pub fn object(filter: Filter, _site: &Site) -> Object {
    with_listing(&format!("{}.asm", filter.name), &generate(filter))
}

/// The same object, with its listing for a source under that name.
pub(crate) fn with_listing(file: &str, object: &Object) -> Object {
    let listing = show::fun::object(object).to_string();
    text::assemble(file, listing.as_bytes()).expect("what is shown assembles")
}

/// The same without a source.
fn generate(filter: Filter) -> Object {
    let code = code(filter);
    let name = filter.name.as_str().replace('-', "_");
    let maps = map::ALL.iter().map(|map| map()).filter(|map| uses(&code, map)).collect();
    let program = Program { name, section: SECTION.to_owned(), code, source: None };
    Object { license: Some(LICENSE.to_owned()), maps, programs: vec![program] }
}

fn uses(code: &Code, map: &MapDef) -> bool {
    code.maps().any(|(_, name)| name == map.name)
}

fn code(filter: Filter) -> Code {
    let mut code = Code::new();
    match filter.name {
        FilterName::Simple => verdict::give(&mut code, Verdict::Accept),
        FilterName::Reject => verdict::count_and_give(&mut code, Verdict::Drop),
        FilterName::ValidCommand => command::valid(&mut code),
        FilterName::RobustValidCommand => command::robust(&mut code),
        FilterName::Parameterized => match filter.binding {
            Binding::Map => parameterized_by_map(&mut code),
            Binding::Constant => verdict::count_and_give(&mut code, verdict_of(filter.parameter)),
        },
        FilterName::Print => {
            capture::keep(&mut code);
            verdict::count_and_give(&mut code, Verdict::Accept);
        }
        FilterName::Count => {
            map::count(&mut code, maps::COUNTER, 0);
            verdict::count_and_give(&mut code, Verdict::Accept);
        }
    }
    code
}

const fn verdict_of(parameter: Parameter) -> Verdict {
    match parameter {
        Parameter::Accept => Verdict::Accept,
        Parameter::Drop => Verdict::Drop,
    }
}

/// An array's only element always exists; an absent one reads as 0, which accepts.
fn parameterized_by_map(code: &mut Code) {
    let (accept, drop) = (code.label("accept"), code.label("drop"));
    map::look_up(code, maps::PARAMETER, accept);
    ebpf! { in code;
        ldxw r1, [r0]
        jne r1, {Parameter::Accept.value() as i32}, $drop
    }
    verdict::place(code, accept, Verdict::Accept);
    verdict::place(code, drop, Verdict::Drop);
}

#[cfg(test)]
mod tests;
