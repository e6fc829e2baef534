//! The BPF objects that filters are loaded from: compiled ahead of time and inside this library, or generated.

use std::borrow::Cow;

use weir_asm::Endian;
use weir_filters::{
    Binding, Combination, Filter, FilterName, Gap, Hook, Layer, Site, Toolkit, cbpf, fun,
    maps::{BLOCKLIST, KEYS, SOURCES, WORKERS},
};
use weir_wire::{
    WORKER_COUNT,
    chain::{CHAIN, Chain},
    endpoint::{ENDPOINT, Endpoint},
    maps,
};

use crate::HookError;

/// An ELF object, and what of it is loaded.
pub(crate) struct Loadable<'a> {
    /// The object, aligned to 4 bytes.
    pub(crate) elf: Cow<'a, [u8]>,
    /// The program's name in it.
    pub(crate) program: Cow<'a, str>,
    /// Constants that the loader sets in it.
    pub(crate) constants: Vec<Constant>,
}

/// A constant of an object: its symbol, and its bytes as they lie in memory, as many as the object has.
pub(crate) type Constant = (&'static str, Vec<u8>);

/// The object with the filter's program, written with that toolkit for that site.
pub(crate) fn of(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<Loadable<'static>, HookError> {
    let unavailable = |gap| HookError::Unavailable { what: filter.to_string(), gap };
    loadable(filter, toolkit, site.hook).map_err(unavailable)?;
    match toolkit {
        Toolkit::Aya | Toolkit::C => compiled(filter, toolkit, site).map_err(unavailable),
        Toolkit::Fun => generated(filter, site),
        Toolkit::Cbpf => {
            Err(HookError::Unfit { what: filter.name.to_string(), reason: NO_OBJECT.to_owned() })
        }
        Toolkit::Rust => unreachable!("the matrix doesn't have it"),
    }
}

const NO_OBJECT: &str =
    "classic BPF isn't loaded from objects; `weir_filters::cbpf::program` gives its instructions";

/// The constants that an object compiled ahead of time has: for the filter's parameter, for whose packets it decides
/// below the socket, and for how many workers at a shared port.
pub(crate) fn constants(filter: Filter, site: &Site) -> Vec<Constant> {
    let is_bound = filter.name == FilterName::Parameterized
        && filter.binding == Binding::Constant
        && !filter.is_dynamic();
    let value = || filter.parameter.value().to_ne_bytes().to_vec();
    let parameter = is_bound.then(|| (maps::PARAMETER_CONSTANT, value()));
    let is_below = site.hook.layer() != Layer::Udp;
    let endpoint = is_below.then(|| (ENDPOINT, bytes_of(site.constant())));
    let order = || -> Vec<u8> {
        let Chain { checks, last } = filter.constant();
        checks.into_iter().chain([last]).flat_map(u32::to_ne_bytes).collect()
    };
    let chain = filter.is_dynamic().then(|| (CHAIN, order()));
    let count = || site.workers.to_ne_bytes().to_vec();
    let workers = (site.hook == Hook::Reuseport).then(|| (WORKER_COUNT, count()));
    parameter.into_iter().chain(endpoint).chain(chain).chain(workers).collect()
}

/// How many entries the filter's maps have, where the object doesn't say or says otherwise. An object compiled ahead of time
/// has maps that aren't used at every hook, or by every chain: those are as small as they go.
pub(crate) fn rooms(filter: Filter, site: &Site) -> Vec<(&'static str, u32)> {
    let workers = (WORKERS.name(), site.workers);
    let rooms = [
        (FilterName::KnownKey, KEYS.name(), filter.known_keys.max(1)),
        (FilterName::Quota, SOURCES.name(), filter.quota_sources.max(1)),
        (FilterName::Blocklist, BLOCKLIST.name(), BLOCKLIST.max_entries()),
    ];
    rooms
        .into_iter()
        .filter(|(name, ..)| filter.has(*name))
        .map(|(_, map, room)| (map, room))
        .chain([workers])
        .collect()
}

fn bytes_of(endpoint: Endpoint) -> Vec<u8> {
    let Endpoint { address, port, versions, any_address, drop_super_packets, padding } = endpoint;
    let mut bytes: Vec<_> = address.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(port.to_ne_bytes());
    bytes.extend([versions, any_address, drop_super_packets]);
    bytes.extend(padding);
    bytes
}

/// Why this build has no objects in C; empty where it has them.
const C_MISSING: &str = include_str!(concat!(env!("OUT_DIR"), "/c/missing"));

/// Why it has none of a program that nobody wrote.
const NOT_WRITTEN: Gap =
    Gap("nobody has written it: in `bpf/src/bin`, or in `bpf/c`, is no file of its name");

/// Whether this weir has the combination, or the reason why not: what [`Combination::available`] says, and what was
/// missing when weir was built.
pub fn available(combination: Combination) -> Result<(), Gap> {
    combination.available()?;
    let Combination { filter, toolkit, .. } = combination;
    match toolkit {
        Toolkit::C if !C_MISSING.is_empty() => Err(Gap(C_MISSING)),
        Toolkit::Aya | Toolkit::C if !filter.is_dynamic() => object(toolkit, filter.as_str()).map(drop),
        Toolkit::Aya => object(toolkit, "chain").and(object(toolkit, "chain-without-exchange")).map(drop),
        Toolkit::Rust | Toolkit::Fun | Toolkit::C | Toolkit::Cbpf => Ok(()),
    }
}

/// The same of a filter with its parameters: what [`crate::KernelFilter::load`] would refuse before it asks the kernel.
pub fn loadable(filter: Filter, toolkit: Toolkit, hook: Hook) -> Result<(), Gap> {
    filter.chain().try_for_each(|filter| available(Combination { filter, toolkit, hook }))?;
    if toolkit == Toolkit::Cbpf { cbpf::program(filter).map(drop) } else { Ok(()) }
}

/// A program of an object compiled ahead of time, which has one for every hook, called after both; some for short. Every
/// chain is in one object, where [`CHAIN`] says which of them decides. Kernels without
/// [`weir_filters::Features::compare_exchange`] refuse an object that has it anywhere.
fn compiled(filter: Filter, toolkit: Toolkit, site: &Site) -> Result<Loadable<'static>, Gap> {
    let name = filter.name.as_str();
    let file = match site.features.compare_exchange {
        _ if !filter.is_dynamic() => name,
        true => "chain",
        false => "chain-without-exchange",
    };
    let called = name.replace('-', "_");
    let program = match filter.name {
        _ if filter.is_dynamic() => "chain",
        FilterName::Simple => "simple",
        FilterName::Reject => "reject",
        FilterName::RobustValidCommand => "robust_command",
        FilterName::Parameterized => match filter.binding {
            Binding::Map => "parameter_map",
            Binding::Constant => "parameter_const",
        },
        FilterName::Print => "print",
        FilterName::Count => "count_packets",
        _ => called.as_str(),
    };
    let program = match site.hook {
        Hook::Xdp if !site.features.xdp_frags => format!("xdp_whole_{program}"),
        hook => format!("{hook}_{program}"),
    };
    let elf = object(toolkit, file)?.into();
    Ok(Loadable { elf, program: program.into(), constants: constants(filter, site) })
}

// What the build script has written: a row for each object that it has compiled.
include!(concat!(env!("OUT_DIR"), "/objects.rs"));

/// The object of that source, without its suffix.
fn object(toolkit: Toolkit, source: &str) -> Result<&'static [u8], Gap> {
    let objects = match toolkit {
        Toolkit::Aya => AYA_OBJECTS,
        Toolkit::C => C_OBJECTS,
        Toolkit::Rust | Toolkit::Fun | Toolkit::Cbpf => return Err(NOT_WRITTEN),
    };
    objects.iter().find(|(name, _)| *name == source).map(|(_, elf)| *elf).ok_or(NOT_WRITTEN)
}

/// An object in C that is no filter's, by the name of its source in `bpf/c` without the suffix; or what was missing when weir was
/// built. It is aligned to 4 bytes, as [`crate::KernelFilter::load_from`] wants it.
pub fn object_in_c(source: &str) -> Result<&'static [u8], Gap> {
    if C_MISSING.is_empty() { object(Toolkit::C, source) } else { Err(Gap(C_MISSING)) }
}

/// What is constant is in the code already.
fn generated(filter: Filter, site: &Site) -> Result<Loadable<'static>, HookError> {
    let what = filter.name.to_string();
    let mut object = fun::object(filter, site);
    let elf = object.to_elf(Endian::NATIVE);
    let elf = elf.map_err(|error| HookError::object(what, &error))?;
    let program = object.programs.swap_remove(0).name;
    Ok(Loadable { elf: elf.into(), program: program.into(), constants: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_that_the_matrix_promises_is_written() {
        for combination in Combination::all() {
            assert_ne!(available(combination), Err(NOT_WRITTEN), "{combination:?}");
        }
    }
}
