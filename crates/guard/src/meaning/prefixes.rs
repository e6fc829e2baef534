//! Lists of prefixes.

use std::{net::IpAddr, ops::RangeInclusive};

use ipnet::{IpNet, Ipv4Net};

/// Prefixes of addresses. Those of IPv6 cover no IPv4 address: `::/0` is all of IPv6 and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixList {
    prefixes: Vec<IpNet>,
    /// What they cover, sorted, none reaching into the next.
    ranges: Vec<RangeInclusive<IpAddr>>,
}

impl PrefixList {
    /// Whether an address is in one of them. An IPv4-mapped address (RFC 4291, 2.5.5.2) is the IPv4 address that it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let behind = self.ranges.partition_point(|range| *range.start() <= address);
        behind.checked_sub(1).is_some_and(|at| self.ranges[at].contains(&address))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// What they cover, sorted, none reaching into the next.
    pub fn ranges(&self) -> &[RangeInclusive<IpAddr>] {
        &self.ranges
    }

    /// Them, sorted, each once.
    pub fn prefixes(&self) -> &[IpNet] {
        &self.prefixes
    }
}

impl FromIterator<IpNet> for PrefixList {
    /// Host bits are cut off, and IPv4-mapped prefixes are IPv4's.
    fn from_iter<I: IntoIterator<Item = IpNet>>(prefixes: I) -> Self {
        let mut prefixes: Vec<_> = prefixes.into_iter().map(canonical).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut ends: Vec<_> = prefixes.iter().map(|net| (net.network(), net.broadcast())).collect();
        ends.sort_unstable();
        let mut ranges: Vec<RangeInclusive<IpAddr>> = Vec::new();
        for (start, end) in ends {
            match ranges.last_mut() {
                Some(last) if start <= *last.end() => *last = *last.start()..=end.max(*last.end()),
                _ => ranges.push(start..=end),
            }
        }
        Self { prefixes, ranges }
    }
}

fn canonical(prefix: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let prefix = prefix.trunc();
    match (prefix.network().to_canonical(), prefix.prefix_len().checked_sub(MAPPED)) {
        (IpAddr::V4(address), Some(len)) if matches!(prefix, IpNet::V6(_)) => {
            Ipv4Net::new(address, len).map_or(prefix, IpNet::V4)
        }
        _ => prefix,
    }
}
