//! What is compared: which programs, for which servers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use weir_filters::{
    Binding, Combination, Filter, FilterName, Hook, Layer, Parameter, Site, SuperPackets, Toolkit,
};
use weir_hooks::KernelFilter;

use super::program::{Program, Tally};
use crate::exit::UsageError;

/// What was asked for; nothing stands for everything.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// This filter alone.
    pub filter: Option<FilterName>,
    /// This toolkit alone.
    pub toolkit: Option<Toolkit>,
    /// This hook alone.
    pub hook: Option<Hook>,
    /// These servers alone.
    pub endpoints: Vec<SocketAddr>,
    /// With these parameters alone.
    pub parameters: Parameters,
    /// With this setting alone, where a hook has it.
    pub super_packets: Option<SuperPackets>,
}

/// What `parameterized-filter` is loaded with; nothing stands for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters {
    /// Accept or drop.
    pub parameter: Option<Parameter>,
    /// In a map or a constant.
    pub binding: Option<Binding>,
}

/// Programs and sites.
#[derive(Clone, Debug)]
pub struct Plan {
    combinations: Vec<Combination>,
    endpoints: Vec<SocketAddr>,
    parameters: Parameters,
    super_packets: Option<SuperPackets>,
    /// What was asked for and isn't there.
    pub gaps: Gaps,
}

/// Toolkit at hook, by the reason why it isn't compared.
pub type Gaps = BTreeMap<&'static str, Vec<String>>;

const REFERENCE: &str =
    "in the server's loop the filter is the reference itself, which tests pin by golden vectors";
const SENT_ONLY: &str = "the kernel runs no such program on given bytes (BPF_PROG_TEST_RUN)";
const PORT: u16 = 12_345;

impl Plan {
    /// Looks up what there is of it.
    ///
    /// # Errors
    /// There is nothing of it: a [`UsageError`] with the matrix' reasons.
    pub fn new(choice: &Choice) -> Result<Self, UsageError> {
        let is_chosen = |combination: &Combination| {
            choice.filter.is_none_or(|filter| filter == combination.filter)
                && choice.toolkit.is_none_or(|toolkit| toolkit == combination.toolkit)
                && choice.hook.is_none_or(|hook| hook == combination.hook)
        };
        let mut gaps = Gaps::new();
        let mut combinations = Vec::new();
        for combination in Combination::all().filter(is_chosen) {
            match obstacle(combination) {
                None => combinations.push(combination),
                Some(reason) => {
                    let place = format!("{} at {}", combination.toolkit, combination.hook);
                    let places = gaps.entry(reason).or_default();
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
            }
        }
        if combinations.is_empty() {
            let reasons = gaps.iter().map(|(reason, places)| format!("{}: {reason}", places.join(", ")));
            return Err(UsageError(format!(
                "there is nothing to compare: {}; `weir filters` shows what there is",
                reasons.collect::<Vec<_>>().join("; ")
            )));
        }
        let endpoints = match choice.endpoints.as_slice() {
            [] => default_endpoints().to_vec(),
            chosen => chosen.to_vec(),
        };
        let Choice { parameters, super_packets, .. } = *choice;
        Ok(Self { combinations, endpoints, parameters, super_packets, gaps })
    }

    /// Every place and server of it.
    pub fn sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for hook in Hook::ALL.into_iter().filter(|hook| self.has(*hook)) {
            if hook.layer() == Layer::Udp {
                sites.push(Site { hook, ..Site::socket() });
                continue;
            }
            let at = |super_packets| {
                self.endpoints
                    .iter()
                    .map(move |endpoint| Site { super_packets, ..Site::new(hook, *endpoint) })
            };
            match self.super_packets {
                Some(super_packets) => sites.extend(at(super_packets)),
                None => {
                    sites.extend(at(SuperPackets::Drop));
                    // One server is enough to see that the setting is looked at, where a program can.
                    sites.extend(at(SuperPackets::Pass).take(usize::from(hook == Hook::Tc)));
                }
            }
        }
        sites
    }

    /// What is compared.
    pub fn combinations(&self) -> impl ExactSizeIterator<Item = Combination> {
        self.combinations.iter().copied()
    }

    /// The combination's place in the order of the matrix.
    pub fn place_of(&self, combination: Combination) -> usize {
        self.combinations.iter().position(|other| *other == combination).unwrap_or(usize::MAX)
    }

    /// Loads each program of that site; `packets` says how many packets one has that is one of so many of its
    /// combination.
    ///
    /// # Errors
    /// A program can't be loaded.
    pub fn load(&self, site: &Site, packets: impl Fn(u64) -> u64) -> anyhow::Result<Vec<Program>> {
        let sites = self.sites().iter().filter(|other| other.hook == site.hook).count();
        let mut programs = Vec::new();
        for combination in self.combinations.iter().filter(|combination| combination.hook == site.hook) {
            let filters = self.filters(combination.filter);
            let share = (sites * filters.len()) as u64;
            for filter in filters {
                programs.push(Program {
                    combination: *combination,
                    filter,
                    site: *site,
                    subject: Box::new(KernelFilter::load(filter, combination.toolkit, site)?),
                    left: packets(share),
                    tally: Tally::default(),
                    first: None,
                });
            }
        }
        Ok(programs)
    }

    fn has(&self, hook: Hook) -> bool {
        self.combinations.iter().any(|combination| combination.hook == hook)
    }

    /// A filter with each of its parameters that is to be compared.
    fn filters(&self, name: FilterName) -> Vec<Filter> {
        if name != FilterName::Parameterized {
            return vec![name.into()];
        }
        let Parameters { parameter: wanted, binding: wanted_binding } = self.parameters;
        let mut filters = Vec::new();
        for parameter in [Parameter::Accept, Parameter::Drop] {
            for binding in [Binding::Map, Binding::Constant] {
                if wanted.is_none_or(|wanted| wanted == parameter)
                    && wanted_binding.is_none_or(|wanted| wanted == binding)
                {
                    filters.push(Filter { name, parameter, binding });
                }
            }
        }
        filters
    }
}

/// Why a combination isn't compared.
fn obstacle(combination: Combination) -> Option<&'static str> {
    if combination.hook == Hook::User && combination.toolkit == Toolkit::Rust {
        return Some(REFERENCE);
    }
    if let Err(gap) = weir_hooks::available(combination) {
        return Some(gap.0);
    }
    let is_sent_only = combination.hook == Hook::Reuseport || combination.toolkit == Toolkit::Cbpf;
    is_sent_only.then_some(SENT_ONLY)
}

/// A server on IPv4, one on IPv6, and one on every address.
fn default_endpoints() -> [SocketAddr; 3] {
    let v4 = Ipv4Addr::new(192, 0, 2, 129);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0x8182, 0x8384, 0, 0x1f2, 0x8586, 0x8788);
    [IpAddr::V4(v4), v6.into(), Ipv6Addr::UNSPECIFIED.into()].map(|address| SocketAddr::new(address, PORT))
}
