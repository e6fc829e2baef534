//! The toolkit `fun`: every filter as an eBPF program that is generated from its specification when it is asked for.
//!
//! A function of the specification alone: the same filter gives the same object, to the byte.

mod access;
mod capture;
mod chain;
mod command;
mod gso;
mod guard;
mod known_key;
pub(crate) mod map;
mod parse;
mod pick;
pub mod probe;
mod verdict;

use weir_asm::{Code, MapDef, Object, Program, show, text};
use weir_asm_macros::ebpf;
use weir_wire::maps;

use crate::{Binding, Filter, FilterName, Hook, Parameter, Site, Verdict};
use access::{Access, CONTEXT};
use parse::{Judge, Wants, parse};

/// The licence that the kernel reads: some helpers are for GPL-compatible programs only.
pub(crate) const LICENSE: &str = "Dual MIT/GPL";

/// The filter's program for a site, alone in its object, with the maps that it uses.
///
/// The program's source is its own listing, so that the verifier's log quotes the instruction that it refuses.
///
/// To load it needs root, or CAP_BPF, for tc and xdp CAP_NET_ADMIN too, and for xdp CAP_PERFMON, because the program tells
/// the packet's length from the distance of two addresses. Minimum kernel: that of the hook; below the socket 5.3, for a
/// loop over IPv6 extension headers, as are copies at xdp without [`crate::Features::xdp_frags`]. With [`Site::gso`] also CAP_PERFMON and 6.2.
///
/// # Panics
/// Never: every filter's listing assembles, which a test sees to.
pub fn object(filter: Filter, site: &Site) -> Object {
    let file = match site.hook {
        Hook::User | Hook::Socket => format!("{}.asm", filter.name),
        hook => format!("{}-{hook}.asm", filter.name),
    };
    with_listing(&file, &generate(filter, site))
}

/// The same object, with its listing for a source under that name.
pub(crate) fn with_listing(file: &str, object: &Object) -> Object {
    let listing = show::fun::object(object).to_string();
    text::assemble(file, listing.as_bytes()).expect("what is shown assembles")
}

/// The same without a source.
fn generate(filter: Filter, site: &Site) -> Object {
    let code = code(filter, site);
    let name = filter.name.as_str().replace('-', "_");
    let maps = crate::maps::ALL.iter().map(|map| map()).filter(|map| uses(&code, map)).collect();
    let section = Access::at(site).section.to_owned();
    let program = Program { name, section, code, source: None };
    Object { license: Some(LICENSE.to_owned()), maps, programs: vec![program] }
}

fn uses(code: &Code, map: &MapDef) -> bool {
    code.maps().any(|(_, name)| name == map.name)
}

fn code(filter: Filter, site: &Site) -> Code {
    let mut code = Code::new();
    match filter.name {
        _ if filter.is_dynamic() => chain::chain(&mut code, filter, site),
        FilterName::Simple => accept_all(&mut code, &Access::at(site)),
        FilterName::ValidCommand => command::valid(&mut code, site),
        FilterName::RobustValidCommand => command::robust(&mut code, site),
        FilterName::Reject | FilterName::Parameterized | FilterName::Print | FilterName::Count => {
            without_payload(&mut code, filter, site);
        }
        FilterName::KnownKey | FilterName::Quota | FilterName::Blocklist => {
            unreachable!("{} has a memory", filter.name)
        }
    }
    code
}

fn accept_all(code: &mut Code, access: &Access) {
    if access.workers.is_some() {
        ebpf! { in code; mov $CONTEXT, r1 }
    }
    verdict::give(code, access, Verdict::Accept);
}

/// The filters that decide for every packet of the server alike.
fn without_payload(code: &mut Code, filter: Filter, site: &Site) {
    let access = &Access::at(site);
    let wants = if filter.name == FilterName::Print { Wants::Place } else { Wants::Nothing };
    let place = |code: &mut Code| decide_alike(code, filter, access);
    let no_command = code.fresh_label();
    parse(code, site, Judge { wants, no_command, place });
}

/// The same verdict for every packet. Behind guards, that is what one alone gives to those that it passes on.
fn decide_alike(code: &mut Code, filter: Filter, access: &Access) {
    let verdict = match filter.name {
        FilterName::Simple | FilterName::Quota | FilterName::Blocklist => Verdict::Accept,
        FilterName::Reject => Verdict::Drop,
        FilterName::Parameterized => match filter.binding {
            Binding::Map => return parameterized_by_map(code, access),
            Binding::Constant => verdict_of(filter.parameter),
        },
        FilterName::Print => {
            capture::keep(code, access);
            Verdict::Accept
        }
        FilterName::Count => {
            map::count(code, maps::COUNTER, 0);
            Verdict::Accept
        }
        FilterName::ValidCommand | FilterName::RobustValidCommand | FilterName::KnownKey => {
            unreachable!("{} decides by the payload", filter.name)
        }
    };
    verdict::count_and_give(code, access, verdict);
}

const fn verdict_of(parameter: Parameter) -> Verdict {
    match parameter {
        Parameter::Accept => Verdict::Accept,
        Parameter::Drop => Verdict::Drop,
    }
}

/// An array's only element always exists; an absent one reads as 0, which accepts.
fn parameterized_by_map(code: &mut Code, access: &Access) {
    let (accept, drop) = (code.label("accept"), code.label("drop"));
    map::look_up(code, maps::PARAMETER, accept);
    ebpf! { in code;
        ldxw r1, [r0]
        jne r1, {Parameter::Accept.value() as i32}, $drop
    }
    verdict::place(code, access, accept, Verdict::Accept);
    verdict::place(code, access, drop, Verdict::Drop);
}

#[cfg(test)]
mod tests;
