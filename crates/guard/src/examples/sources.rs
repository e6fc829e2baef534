//! Who sends packets: sources in, at the ends of and beside every prefix of a service, and those that limits tell apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::meaning::{PrefixList, Senders, Service, SourceKey};

/// Prefixes of a list around which sources are tried: the first ones, and the last.
const MOST_PREFIXES: usize = 256;
/// A port that says nothing.
const PORT: u16 = 40_000;

/// Which IP versions a service's packets come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    v4: bool,
    v6: bool,
}

impl Versions {
    pub(super) fn of(service: &Service) -> Self {
        match service.listen.address {
            Some(IpAddr::V4(_)) => Self { v4: true, v6: false },
            Some(IpAddr::V6(address)) => Self { v4: address.is_unspecified(), v6: true },
            None => Self { v4: true, v6: true },
        }
    }

    /// Whether a packet can come from there. An IPv6 packet from an IPv4-mapped address counts as from the IPv4 address: hooks below
    /// the IP layer see such packets, although Linux drops them behind these (`ip6_rcv_core`, net/ipv6/ip6_input.c).
    pub(super) fn have(self, source: IpAddr) -> bool {
        match source {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(address) => self.v6 && (self.v4 || address.to_ipv4_mapped().is_none()),
        }
    }
}

/// Sources that nothing is said of, as far as there are any: one of each version.
pub(super) fn nobodies(service: &Service) -> Vec<SocketAddr> {
    let v4 = [(203, 0, 113), (192, 0, 2), (198, 51, 100), (9, 9, 9), (10, 1, 2), (172, 16, 1)];
    let v4 = v4.map(|(one, two, three)| IpAddr::V4(Ipv4Addr::new(one, two, three, 77)));
    let v6 = [0x77, 0x78, 0xffff].map(|part| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, part, 0, 0, 1, 0, 7)));
    let v6 = v6.into_iter().chain([IpAddr::V6(Ipv6Addr::new(0xfd00, 7, 7, 0, 0, 0, 0, 7))]);
    let choose = |all: Vec<IpAddr>| {
        let is_free = |address: &&IpAddr| lists(service).all(|list| !list.contains(**address));
        all.iter().find(is_free).or(all.first()).copied()
    };
    let chosen = [choose(v4.into()), choose(v6.collect())];
    let versions = Versions::of(service);
    let chosen = chosen.into_iter().flatten().filter(|address| versions.have(*address));
    chosen.map(|address| SocketAddr::new(address, PORT)).collect()
}

/// A source whose packets nothing but `lists` decides on: in each of them, and on neither of the service's own.
pub(super) fn within(service: &Service, lists: &[&PrefixList]) -> Option<SocketAddr> {
    let versions = Versions::of(service);
    let is_fit = |address: &IpAddr| {
        versions.have(*address)
            && lists.iter().all(|list| list.contains(*address))
            && !service.allow.contains(*address)
            && !service.block.contains(*address)
    };
    let in_lists = lists.iter().flat_map(|list| around(list)).map(|address| SocketAddr::new(address, PORT));
    nobodies(service).into_iter().chain(in_lists).find(|source| is_fit(&source.ip()))
}

/// The list of those senders, if they are told by one.
pub(super) fn listed(senders: &Senders) -> Option<&PrefixList> {
    match senders {
        Senders::Listed(list) => Some(list),
        Senders::Anyone | Senders::Known | Senders::Unknown => None,
    }
}

/// Every list of a service.
pub(super) fn lists(service: &Service) -> impl Iterator<Item = &PrefixList> {
    let accepted = service.accept.iter().filter_map(|each| listed(&each.from));
    let limited = service.limits.iter().filter_map(|each| listed(&each.from));
    [&service.allow, &service.block].into_iter().chain(accepted).chain(limited)
}

/// Addresses in, at the ends of, and just outside of a list's prefixes; those at the ends as IPv4-mapped ones too.
pub(super) fn around(list: &PrefixList) -> Vec<IpAddr> {
    let prefixes = list.prefixes();
    let first = prefixes.len().min(MOST_PREFIXES);
    let last = first.max(prefixes.len().saturating_sub(MOST_PREFIXES));
    prefixes[..first].iter().chain(&prefixes[last..]).flat_map(|prefix| around_prefix(*prefix)).collect()
}

fn around_prefix(prefix: IpNet) -> Vec<IpAddr> {
    let (first, last) = (prefix.network(), prefix.broadcast());
    let bits = u32::from(prefix.max_prefix_len());
    let len = u32::from(prefix.prefix_len());
    let number = number(first);
    // In the middle, one bit outside by the prefix's last bit and by its first, and both neighbours.
    let middle = bits.checked_sub(len + 1).map(|bit| number | 1 << bit);
    let outside = [bits.checked_sub(len).filter(|_| len > 0), (len > 0).then(|| bits - 1)];
    let outside = outside.into_iter().flatten().map(|bit| number ^ 1 << bit);
    let most = u128::MAX >> (128 - bits);
    let before = number.checked_sub(1);
    let behind = self::number(last).checked_add(1).filter(|number| *number <= most);
    let numbers = middle.into_iter().chain(outside).chain(before).chain(behind);
    let plain = [first, last].into_iter().chain(numbers.map(|number| address(number, first.is_ipv4())));
    let mapped = |address: &IpAddr| match address {
        IpAddr::V4(address) => Some(IpAddr::V6(address.to_ipv6_mapped())),
        IpAddr::V6(_) => None,
    };
    let plain: Vec<_> = plain.collect();
    plain.iter().copied().chain(plain.iter().take(2).filter_map(mapped)).collect()
}

/// Sources that differ from one in the bits at the end of what a limit looks at, in the port, and in others.
pub(super) fn beside(source: SocketAddr, key: SourceKey) -> Vec<SocketAddr> {
    let canonical = source.ip().to_canonical();
    let (bits, len) = if canonical.is_ipv4() { (32_u32, key.v4) } else { (128, key.v6) };
    let len = u32::from(len);
    let flipped = |bit: u32| {
        let place = bits.checked_sub(bit + 1)?;
        Some(SocketAddr::new(address(number(canonical) ^ 1 << place, canonical.is_ipv4()), source.port()))
    };
    // Bits counted from the first, which is 0: those up to `len` are the source's.
    let near = [len.checked_sub(2), len.checked_sub(1), Some(len), Some(len + 1), Some(0), Some(bits - 1)];
    let other_port = SocketAddr::new(canonical, source.port() ^ 1);
    near.into_iter().flatten().filter_map(flipped).chain([other_port]).collect()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(number: u128, is_v4: bool) -> IpAddr {
    if is_v4 { Ipv4Addr::from(number as u32).into() } else { Ipv6Addr::from(number).into() }
}
