//! The toolkit `fun`: every filter as an eBPF program that is generated from its specification when it is asked for.
//!
//! A function of the specification alone: the same filter gives the same object, to the byte.

mod access;
mod capture;
mod chain;
mod command;
mod gso;
mod known_key;
pub(crate) mod map;
mod parse;
mod pick;
pub mod probe;
pub mod service;
mod source_check;
mod verdict;

use weir_asm::{Code, MapDef, Object, Program, show, text};
use weir_asm_macros::ebpf;
use weir_guard::meaning::Party;

use crate::{Filter, FilterName, Hook, Site, Verdict};
use access::{Access, CONTEXT};
use command::Decision;
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
    let program = Program { name, section, code, ..Program::default() };
    Object { license: Some(LICENSE.to_owned()), maps, programs: vec![program] }
}

fn uses(code: &Code, map: &MapDef) -> bool {
    code.maps().any(|(_, name)| name == map.name)
}

fn code(filter: Filter, site: &Site) -> Code {
    let mut code = Code::new();
    match command::decision(filter) {
        _ if filter.is_dynamic() => chain::chain(&mut code, filter, site),
        _ if filter.name == FilterName::Simple => accept_all(&mut code, &Access::at(site)),
        Decision::Alike { wants, end } => alike(&mut code, site, wants, end),
        Decision::Beginning { length, find } => command::judge(&mut code, site, length, find),
        Decision::Payload(_) => chain::chain(&mut code, filter, site),
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
fn alike(code: &mut Code, site: &Site, wants: Wants, end: fn(&mut Code, &Access)) {
    let access = &Access::at(site);
    let no_command = code.fresh_label();
    let place = |code: &mut Code| end(code, access);
    parse(code, site, Judge { wants, no_command, by: Party::Client, unjudged: None, place });
}

#[cfg(test)]
mod tests;
