//! The BPF objects that filters are loaded from: compiled ahead of time and inside this library, or generated.

use std::borrow::Cow;

use aya::include_bytes_aligned;
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
    let name = filter.name;
    loadable(filter, toolkit, site.hook)
        .map_err(|gap| HookError::Unavailable { what: filter.to_string(), gap })?;
    match toolkit {
        Toolkit::Aya if filter.is_dynamic() && site.features.compare_exchange => {
            Ok(compiled(filter, CHAINS, site))
        }
        Toolkit::Aya if filter.is_dynamic() => Ok(compiled(filter, CHAINS_WITHOUT_EXCHANGE, site)),
        Toolkit::Aya => Ok(compiled(filter, aya(name), site)),
        Toolkit::C => Ok(compiled(filter, c(name), site)),
        Toolkit::Fun => generated(filter, site),
        Toolkit::Cbpf => Err(HookError::Unfit { what: name.to_string(), reason: NO_OBJECT.to_owned() }),
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
    let order = || {
        let Chain { guards, last } = filter.constant();
        [&guards[..], &[last]].concat()
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

/// Whether this weir has the combination, or the reason why not: what [`Combination::available`] says, and what was
/// missing when weir was built.
pub fn available(combination: Combination) -> Result<(), Gap> {
    combination.available()?;
    if combination.toolkit == Toolkit::C && !C_MISSING.is_empty() { Err(Gap(C_MISSING)) } else { Ok(()) }
}

/// The same of a filter with its parameters: what [`crate::KernelFilter::load`] would refuse before it asks the kernel.
pub fn loadable(filter: Filter, toolkit: Toolkit, hook: Hook) -> Result<(), Gap> {
    filter.chain().try_for_each(|filter| available(Combination { filter, toolkit, hook }))?;
    if toolkit == Toolkit::Cbpf { cbpf::program(filter).map(drop) } else { Ok(()) }
}

/// A program of an object compiled ahead of time, which has one for every hook, called after both.
fn compiled(filter: Filter, elf: &'static [u8], site: &Site) -> Loadable<'static> {
    let program = match filter.name {
        _ if filter.is_dynamic() => "chain",
        FilterName::Simple => "simple",
        FilterName::Reject => "reject",
        FilterName::ValidCommand => "valid_command",
        FilterName::RobustValidCommand => "robust_command",
        FilterName::Parameterized => match filter.binding {
            Binding::Map => "parameter_map",
            Binding::Constant => "parameter_const",
        },
        FilterName::Print => "print",
        FilterName::Count => "count_packets",
        FilterName::KnownKey | FilterName::Quota | FilterName::Blocklist => {
            unreachable!("the matrix doesn't have it")
        }
    };
    let program = match site.hook {
        Hook::Xdp if !site.features.xdp_frags => format!("xdp_whole_{program}"),
        hook => format!("{hook}_{program}"),
    };
    Loadable { elf: elf.into(), program: program.into(), constants: constants(filter, site) }
}

/// The objects in a folder of the build script's output.
macro_rules! objects {
    ($filter:expr, $folder:literal) => {
        objects!(
            $filter,
            $folder,
            Simple "simple-socket-filter",
            Reject "reject-filter",
            ValidCommand "valid-command",
            RobustValidCommand "robust-valid-command",
            Parameterized "parameterized-filter",
            Print "print-filter",
            Count "count-filter"
        )
    };
    ($filter:expr, $folder:literal, $($name:ident $file:literal),*) => {
        match $filter {
            $(FilterName::$name => include_bytes_aligned!(concat!(env!("OUT_DIR"), $folder, "/", $file)),)*
            FilterName::KnownKey | FilterName::Quota | FilterName::Blocklist => {
                unreachable!("the matrix doesn't have it")
            }
        }
    };
}

/// Every chain: [`CHAIN`] says which of them decides.
const CHAINS: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/chain"));

/// The chains for kernels without [`weir_filters::Features::compare_exchange`], which refuse an object that has it anywhere.
const CHAINS_WITHOUT_EXCHANGE: &[u8] =
    include_bytes_aligned!(concat!(env!("OUT_DIR"), "/chain-without-exchange"));

fn aya(filter: FilterName) -> &'static [u8] {
    objects!(filter, "")
}

fn c(filter: FilterName) -> &'static [u8] {
    objects!(filter, "/c")
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
