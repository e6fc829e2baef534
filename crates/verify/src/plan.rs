//! What is compared: which programs, for which servers.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd as _,
};

use weir_filters::{
    Binding, Combination, Filter, FilterName, GsoView, Hook, Layer, Parameter, Site, SourceChecks,
    SuperPackets, Toolkit, corpus::Case,
};
use weir_hooks::{KernelFilter, Owners, ProgramType};
use weir_output::exit::UsageError;

use crate::{
    Subject,
    memory::{ReferenceMemory, with_little_room},
    program::{AskedProgram, Refusal, Tally},
    sockets::{Sendable as _, Sockets},
};

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
    /// Of `parameterized-filter`, with this parameter alone.
    pub parameter: Option<Parameter>,
    /// And with it bound so alone.
    pub binding: Option<Binding>,
    /// With this setting alone, where a hook has it.
    pub super_packets: Option<SuperPackets>,
    /// The filters before it; with none of them, a filter without a memory is compared by itself.
    pub checks: SourceChecks,
    /// The turn whose memory packets begin with.
    pub turn: u32,
}

/// Programs and sites.
#[derive(Clone, Debug)]
pub struct Plan {
    combinations: Vec<Combination>,
    /// What was asked for, with each server.
    choice: Choice,
    /// What was asked for and isn't there.
    pub gaps: Gaps,
}

/// Where programs are asked, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) site: Site,
    pub(super) way: Way,
}

/// The programs of a place.
#[derive(Default)]
pub(super) struct LoadedPrograms {
    pub(super) programs: Vec<AskedProgram>,
    /// Those that aren't there.
    pub(super) refusals: Vec<Refusal>,
}

/// How programs are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By `BPF_PROG_TEST_RUN`.
    TestRun,
    /// By sending packets, where the kernel runs no such program on given bytes.
    Sockets,
}

impl Way {
    pub(super) fn of(combination: Combination) -> Self {
        let Combination { filter, toolkit, hook } = combination;
        let runs = ProgramType::at(hook).is_some_and(ProgramType::runs_on_bytes) && toolkit.can_be_asked();
        // A test run of packets from UDP's header on has no IP header.
        let is_by_source = hook.layer() == Layer::Udp && filter.source_check().is_some();
        if runs && !is_by_source { Self::TestRun } else { Self::Sockets }
    }

    /// Whether a packet can be given to a program so.
    pub(super) fn takes(self, case: &Case) -> bool {
        self == Self::TestRun || case.sendable().is_some()
    }

    pub(super) fn subject(self, program: KernelFilter) -> anyhow::Result<Box<dyn Subject>> {
        Ok(match self {
            Self::TestRun => Box::new(program),
            Self::Sockets => Box::new(Sockets::new(program, |program, socket| {
                program.attach_to(Owners { socket: Some(socket.as_fd()), ..Owners::default() })
            })?),
        })
    }
}

/// Toolkit at hook, by the reason why it isn't compared.
pub type Gaps = BTreeMap<&'static str, Vec<String>>;

const REFERENCE: &str =
    "in the server's loop the filter is the reference itself, which tests pin by golden vectors";
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
        let mut choice = choice.clone();
        if choice.endpoints.is_empty() {
            choice.endpoints.extend(default_endpoints());
        }
        Ok(Self { combinations, choice, gaps })
    }

    /// How its programs are asked.
    pub(super) fn way_of(&self, combination: Combination) -> Way {
        let is_by_source = combination.hook.layer() == Layer::Udp && !self.choice.checks.is_empty();
        if is_by_source { Way::Sockets } else { Way::of(combination) }
    }

    /// Every place, server and way of it.
    pub(super) fn places(&self) -> Vec<Stand> {
        let mut places = Vec::new();
        for hook in Hook::ALL {
            for way in [Way::TestRun, Way::Sockets] {
                let is_there =
                    |combination: &Combination| combination.hook == hook && self.way_of(*combination) == way;
                if self.combinations.iter().any(is_there) {
                    places.extend(self.sites(hook, way).into_iter().map(|site| Stand { site, way }));
                }
            }
        }
        places
    }

    fn sites(&self, hook: Hook, way: Way) -> Vec<Site> {
        let at = |super_packets| {
            let site = move |endpoint: &SocketAddr| Site { super_packets, ..Site::new(hook, *endpoint) };
            self.choice.endpoints.iter().map(site)
        };
        match (way, hook.layer(), self.choice.super_packets) {
            (Way::Sockets, ..) => {
                // Loopback takes super-packets whole; none is sent.
                let super_packets = SuperPackets::Pass;
                let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
                let site = |address| Site::new(hook, SocketAddr::new(address, 0));
                loopback.map(|address| Site { super_packets, ..site(address) }).to_vec()
            }
            (Way::TestRun, Layer::Udp, _) => vec![Site { hook, ..Site::socket() }],
            (Way::TestRun, _, Some(super_packets)) => at(super_packets).collect(),
            // One server is enough to see that the setting is looked at, where a program can.
            (Way::TestRun, ..) => {
                let passing = usize::from(hook.gso() == GsoView::Told);
                at(SuperPackets::Drop).chain(at(SuperPackets::Pass).take(passing)).collect()
            }
        }
    }

    /// What is compared.
    pub fn combinations(&self) -> impl ExactSizeIterator<Item = Combination> {
        self.combinations.iter().copied()
    }

    /// The combination's place in the order of the matrix.
    pub fn place_of(&self, combination: Combination) -> usize {
        self.combinations.iter().position(|other| *other == combination).unwrap_or(usize::MAX)
    }

    /// Loads each program of that place; `packets` says how many packets one has that is one of so many of its
    /// combination. One that is refused keeps no other from being loaded.
    pub(super) fn load(&self, place: &Stand, packets: impl Fn(u64) -> u64) -> LoadedPrograms {
        let Stand { site, way } = place;
        let sites = self.sites(site.hook, *way).len();
        let is_there =
            |combination: &&Combination| combination.hook == site.hook && self.way_of(**combination) == *way;
        let mut loaded = LoadedPrograms::default();
        for combination in self.combinations.iter().filter(is_there) {
            let Combination { filter, toolkit, hook } = *combination;
            let mut filters = self.filters(filter, hook, *way);
            filters.retain(|filter| weir_hooks::loadable(*filter, toolkit, hook).is_ok());
            let share = (sites * filters.len()) as u64;
            for filter in filters {
                let subject = KernelFilter::load(filter, toolkit, site).map_err(anyhow::Error::from);
                match subject.and_then(|program| way.subject(program)) {
                    Ok(subject) => {
                        let program = self.program(*combination, filter, *site, subject);
                        loaded.programs.push(AskedProgram { left: packets(share), ..program });
                    }
                    Err(error) => loaded.refusals.push(Refusal::new(*combination, filter, &error)),
                }
            }
        }
        loaded
    }

    /// A program that has decided nothing, and is to decide nothing.
    pub(super) fn program(
        &self,
        combination: Combination,
        filter: Filter,
        site: Site,
        subject: Box<dyn Subject>,
    ) -> AskedProgram {
        let memory = ReferenceMemory::of(filter, self.choice.turn);
        AskedProgram {
            combination,
            filter,
            site,
            subject,
            memory,
            left: 0,
            tally: Tally::default(),
            first: None,
        }
    }

    /// A filter with each of its parameters that is to be compared, and one with a memory in chains too.
    fn filters(&self, name: FilterName, hook: Hook, way: Way) -> Vec<Filter> {
        if !self.choice.checks.is_empty() {
            return vec![with_little_room(Filter::from(name).behind(self.choice.checks))];
        }
        if name.is_dynamic() {
            let chains = chains(name, hook, way).into_iter().map(|chain| chain.parse().expect("a chain"));
            return chains.map(with_little_room).collect();
        }
        if name != FilterName::Parameterized {
            return vec![name.into()];
        }
        let with = |parameter| Binding::ALL.map(|binding| Filter { parameter, binding, ..name.into() });
        let is_wanted = |filter: &Filter| {
            self.choice.parameter.is_none_or(|wanted| wanted == filter.parameter)
                && self.choice.binding.is_none_or(|wanted| wanted == filter.binding)
        };
        Parameter::ALL.into_iter().flat_map(with).filter(is_wanted).collect()
    }
}

/// The chains that a filter with a memory decides in; by a test run without an IP header source checks know no source.
fn chains(name: FilterName, hook: Hook, way: Way) -> Vec<String> {
    let before: &[&str] = match name {
        FilterName::Blocklist => &["", "quota+"],
        FilterName::Quota => &["", "blocklist+"],
        _ if hook.layer() == Layer::Udp && way == Way::TestRun => &[""],
        _ => &["", "blocklist+quota+", "quota+blocklist+"],
    };
    before.iter().map(|before| format!("{before}{name}")).collect()
}

/// Why a combination isn't compared.
fn obstacle(combination: Combination) -> Option<&'static str> {
    if combination.hook == Hook::User && combination.toolkit == Toolkit::Rust {
        return Some(REFERENCE);
    }
    weir_hooks::available(combination).err().map(|gap| gap.0)
}

/// A server on IPv4, one on IPv6, and one on every address.
fn default_endpoints() -> [SocketAddr; 3] {
    let v4 = Ipv4Addr::new(192, 0, 2, 129);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0x8182, 0x8384, 0, 0x1f2, 0x8586, 0x8788);
    [IpAddr::V4(v4), v6.into(), Ipv6Addr::UNSPECIFIED.into()].map(|address| SocketAddr::new(address, PORT))
}
