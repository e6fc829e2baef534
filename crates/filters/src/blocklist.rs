//! Blocked prefixes with their expiry, and what of them a longest-prefix match must be given.

use std::{
    collections::BTreeMap,
    iter,
    net::{IpAddr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Moment;

/// How long a prefix is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// Up to that moment.
    Moment(Moment),
    /// Until it is unblocked.
    Unblocked,
}

impl Until {
    /// Whether it is over.
    pub fn is_over(self, now: Moment) -> bool {
        matches!(self, Self::Moment(moment) if moment <= now)
    }

    /// The value that stands for it in a map: nanoseconds of `CLOCK_MONOTONIC`, 0 for ever.
    pub fn value(self) -> u64 {
        match self {
            Self::Moment(moment) => moment.ns.max(1),
            Self::Unblocked => 0,
        }
    }
}

/// Which sources are blocked. An address is blocked while any prefix that it lies in is.
///
/// A map finds the longest prefix alone, which may be over before a shorter one is: what goes into the map is
/// [`Self::effective`], the latest end of all prefixes around.
#[derive(Clone, Debug, Default)]
pub struct Blocklist {
    prefixes: BTreeMap<PrefixKey, Until>,
    /// The lengths that any prefix has: the only ones to look for around an address.
    lengths: BTreeMap<u8, LengthCount>,
    /// Prefixes by their end; one that has another end by now, or is gone, is there still.
    ends: BTreeMap<Moment, Vec<PrefixKey>>,
}

/// A prefix as packets are looked up, IPv4 as ::ffff:a.b.c.d: in the order of addresses, and an outer one before those in it.
/// Compared as numbers: a list of a million is searched for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PrefixKey {
    first: u128,
    bits: u8,
}

impl PrefixKey {
    /// The prefix of that length that an address lies in.
    fn around(address: u128, bits: u8) -> Self {
        Self { first: address & !Self::host_bits(bits), bits }
    }

    /// The last of the prefixes that lie in it.
    fn last_within(self) -> Self {
        Self { first: self.first | Self::host_bits(self.bits), bits: 128 }
    }

    fn host_bits(bits: u8) -> u128 {
        u128::MAX.checked_shr(bits.into()).unwrap_or(0)
    }

    fn as_written(self) -> IpNet {
        let address = Ipv6Addr::from_bits(self.first);
        match (address.to_ipv4_mapped(), self.bits.checked_sub(MAPPED_BITS)) {
            (Some(address), Some(bits)) => Ipv4Net::new_assert(address, bits).into(),
            _ => Ipv6Net::new_assert(address, self.bits).into(),
        }
    }
}

impl From<IpNet> for PrefixKey {
    fn from(prefix: IpNet) -> Self {
        match prefix {
            IpNet::V4(prefix) => {
                Self::around(prefix.addr().to_ipv6_mapped().to_bits(), prefix.prefix_len() + MAPPED_BITS)
            }
            IpNet::V6(prefix) => Self::around(prefix.addr().to_bits(), prefix.prefix_len()),
        }
    }
}

/// Prefixes of one length.
#[derive(Clone, Copy, Debug)]
struct LengthCount {
    count: usize,
    /// None of them ends later, and none did that is gone.
    latest: Until,
}

/// A prefix as a longest-prefix match is given it: its bits, its address, IPv4 as ::ffff:a.b.c.d, and the latest end of the
/// prefixes around it, itself included.
pub type Effective = (u32, [u8; 16], Until);

impl Blocklist {
    /// Blocks a prefix; one that is blocked already gets the new end. Gives the end that it had.
    pub fn block(&mut self, prefix: IpNet, until: Until) -> Option<Until> {
        let prefix = PrefixKey::from(prefix);
        let before = self.prefixes.insert(prefix, until);
        let length = self.lengths.entry(prefix.bits).or_insert(LengthCount { count: 0, latest: until });
        length.count += usize::from(before.is_none());
        length.latest = length.latest.max(until);
        if let Until::Moment(end) = until {
            self.ends.entry(end).or_default().push(prefix);
        }
        before
    }

    /// Unblocks exactly that prefix, and gives the end that it had; what lies in it or around it stays blocked.
    pub fn unblock(&mut self, prefix: IpNet) -> Option<Until> {
        self.remove(prefix.into())
    }

    fn remove(&mut self, prefix: PrefixKey) -> Option<Until> {
        let before = self.prefixes.remove(&prefix)?;
        match self.lengths.get_mut(&prefix.bits) {
            Some(length) if length.count > 1 => length.count -= 1,
            _ => drop(self.lengths.remove(&prefix.bits)),
        }
        Some(before)
    }

    /// Forgets prefixes that are over, at most so many, and gives them.
    pub fn expire(&mut self, now: Moment, most: usize) -> Vec<IpNet> {
        let mut over = Vec::new();
        while over.len() < most
            && let Some(mut end) = self.ends.first_entry().filter(|end| *end.key() <= now)
        {
            let Some(prefix) = end.get_mut().pop() else {
                end.remove();
                continue;
            };
            if self.prefixes.get(&prefix).is_some_and(|until| until.is_over(now)) {
                self.remove(prefix);
                over.push(prefix.as_written());
            }
        }
        over
    }

    /// Whether a packet from `source` is dropped.
    pub fn blocks(&self, source: IpAddr, now: Moment) -> bool {
        self.end_for(source).is_some_and(|until| !until.is_over(now))
    }

    /// When the last prefix that `source` lies in ends, if it lies in any.
    pub fn end_for(&self, source: IpAddr) -> Option<Until> {
        self.latest_around(IpNet::from(source).into(), None)
    }

    /// The prefixes with their ends, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, Until)> {
        self.prefixes.iter().map(|(&prefix, &until)| (prefix.as_written(), until))
    }

    /// Whether exactly that prefix is blocked.
    pub fn has(&self, prefix: IpNet) -> bool {
        self.prefixes.contains_key(&prefix.into())
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Each prefix as a longest-prefix match is given it.
    pub fn effective(&self) -> impl Iterator<Item = Effective> {
        self.prefixes.iter().map(|(&prefix, &until)| self.effective_of(prefix, until))
    }

    /// The prefixes that lie in any of these, themselves included, each once, as a longest-prefix match is given them: what
    /// blocking or unblocking these can change.
    pub fn effective_within(&self, prefixes: impl IntoIterator<Item = IpNet>) -> Vec<Effective> {
        let mut around: Vec<_> = prefixes.into_iter().map(PrefixKey::from).collect();
        around.sort_unstable();
        around.dedup_by(|next, outer| next.last_within() <= outer.last_within());
        let Some(&first) = around.first() else { return Vec::new() };
        let mut within = Vec::with_capacity(around.len());
        let mut rest = self.prefixes.range(first..).peekable();
        for outer in around {
            // Of a sorted list the next one stands behind this one; what is farther away is looked up.
            let passed = iter::from_fn(|| rest.next_if(|(prefix, _)| **prefix < outer)).take(NEAR).count();
            if passed == NEAR {
                rest = self.prefixes.range(outer..).peekable();
            }
            while let Some((&prefix, &until)) = rest.next_if(|(prefix, _)| **prefix <= outer.last_within()) {
                within.push(self.effective_of(prefix, until));
            }
        }
        within
    }

    fn effective_of(&self, prefix: PrefixKey, until: Until) -> Effective {
        let latest = self.latest_around(prefix, Some(until)).unwrap_or(until);
        (prefix.bits.into(), prefix.first.to_be_bytes(), latest)
    }

    /// The latest of `known` and of the ends of the prefixes around `inner`.
    fn latest_around(&self, inner: PrefixKey, known: Option<Until>) -> Option<Until> {
        if known == Some(Until::Unblocked) {
            return known;
        }
        let lengths = self.lengths.range(..=inner.bits);
        lengths.fold(known, |latest, (&bits, length)| {
            // `None` is before every end.
            if Some(length.latest) <= latest {
                return latest;
            }
            latest.max(self.prefixes.get(&PrefixKey::around(inner.first, bits)).copied())
        })
    }
}

/// The same prefixes with the same ends.
impl PartialEq for Blocklist {
    fn eq(&self, other: &Self) -> bool {
        self.prefixes == other.prefixes
    }
}

impl Eq for Blocklist {}

/// A prefix as a map's key: its bits, and its address, IPv4 as ::ffff:a.b.c.d.
pub fn key(prefix: IpNet) -> (u32, [u8; 16]) {
    let prefix = PrefixKey::from(prefix);
    (prefix.bits.into(), prefix.first.to_be_bytes())
}

/// Passing by so many prefixes takes no longer than looking one up.
const NEAR: usize = 8;

/// Bits that an IPv4 address has before it as an IPv6 one.
const MAPPED_BITS: u8 = 96;

/// An address as packets are looked up: IPv4 as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2).
pub(crate) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_prefix_blocks_its_addresses_up_to_its_end() {
        let mut list = Blocklist::default();
        list.block(net("10.1.0.0/16"), Until::Moment(at(10)));
        list.block(net("2001:db8::/32"), Until::Unblocked);
        let check = |source: &str, now, expected| {
            assert_eq!(
                list.blocks(source.parse().expect("an address"), at(now)),
                expected,
                "{source} at {now}"
            );
        };
        check("10.1.2.3", 9, true);
        check("10.1.2.3", 10, false);
        check("::ffff:10.1.2.3", 9, true);
        check("10.2.0.0", 9, false);
        check("2001:db8::7", 1_000_000, true);
        check("2001:db9::7", 9, false);
    }

    #[test]
    fn a_longer_prefix_that_is_over_opens_no_hole_in_a_shorter_one() {
        let mut list = Blocklist::default();
        list.block(net("10.0.0.0/8"), Until::Unblocked);
        list.block(net("10.1.2.3/32"), Until::Moment(at(1)));
        assert!(list.blocks("10.1.2.3".parse().expect("an address"), at(2)));
        assert!(list.effective().all(|(_, _, until)| until == Until::Unblocked));
    }

    #[test]
    fn everything_of_one_version_and_of_both() {
        let mut list = Blocklist::default();
        let v4 = "192.0.2.1".parse().expect("an address");
        let v6 = "2001:db8::1".parse().expect("an address");
        list.block(net("0.0.0.0/0"), Until::Unblocked);
        assert_eq!((list.blocks(v4, at(0)), list.blocks(v6, at(0))), (true, false));
        assert!(list.unblock(net("0.0.0.0/0")).is_some() && list.unblock(net("0.0.0.0/0")).is_none());
        list.block(net("::/0"), Until::Unblocked);
        assert_eq!((list.blocks(v4, at(0)), list.blocks(v6, at(0))), (true, true));
    }

    #[test]
    fn prefixes_are_listed_as_they_are_written() {
        let mut list = Blocklist::default();
        for text in ["10.1.2.3/8", "::1/128", "::ffff:1.2.3.4/128"] {
            list.block(net(text), Until::Unblocked);
        }
        let listed: Vec<_> = list.iter().map(|(prefix, _)| prefix.to_string()).collect();
        assert_eq!(listed, ["::1/128", "1.2.3.4/32", "10.0.0.0/8"]);
    }

    proptest! {
        #[test]
        fn the_longest_prefix_with_its_effective_end_decides_as_the_list(
            prefixes in prop::collection::vec((any::<u32>(), 0..=32u8, 0..5u64), 1..20),
            source in any::<u32>(),
            now in 0..5u64,
        ) {
            let mut list = Blocklist::default();
            for (address, bits, end) in prefixes {
                // Few different addresses, so that prefixes lie in each other.
                let address = IpAddr::from((address & 0x8080_8001).to_be_bytes());
                let until = if end == 0 { Until::Unblocked } else { Until::Moment(at(end)) };
                list.block(IpNet::new_assert(address, bits), until);
            }
            let source = IpAddr::from((source & 0x8080_8001).to_be_bytes());
            let matches = |bits: u32, data: [u8; 16]| {
                let kept = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                (u128::from_be_bytes(data) ^ u128::from_be_bytes(octets(source))) & kept == 0
            };
            let longest = list.effective().filter(|&(bits, data, _)| matches(bits, data)).max_by_key(|entry| entry.0);
            let decided = longest.is_some_and(|(_, _, until)| until.value() == 0 || until.value() > at(now).ns);
            prop_assert_eq!(decided, list.blocks(source, at(now)));
        }

        #[test]
        fn what_several_prefixes_can_change_is_said_once(
            prefixes in prop::collection::vec((any::<u32>(), 20..=32u8), 1..30),
            changed in prop::collection::vec((any::<u32>(), 20..=32u8), 0..5),
        ) {
            let net = |(address, bits): (u32, u8)| -> IpNet {
                Ipv4Net::new_assert((address & 0x0000_0f0f).into(), bits).trunc().into()
            };
            let mut list = Blocklist::default();
            for prefix in prefixes {
                list.block(net(prefix), Until::Unblocked);
            }
            let changed: Vec<_> = changed.into_iter().map(net).collect();
            let within = list.iter().filter(|(inner, _)| changed.iter().any(|outer| outer.contains(inner)));
            let expected: Vec<_> = within.map(|(inner, _)| key(inner)).collect();
            let said = list.effective_within(changed.iter().copied());
            prop_assert_eq!(said.into_iter().map(|(bits, data, _)| (bits, data)).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn what_is_unblocked_or_over_blocks_no_more(
            changes in prop::collection::vec((any::<u8>(), 0..=4u8, 0..4u8, 0..5u64), 1..30),
            source in any::<u8>(),
        ) {
            let address = |bits: u8| IpAddr::from([10, 0, 0, bits & 0x0f]);
            let prefix = |bits: u8, short: u8| IpNet::new_assert(address(bits), 32 - short).trunc();
            let (mut list, mut plain) = (Blocklist::default(), std::collections::HashMap::new());
            for (bits, short, what, end) in changes {
                let prefix = prefix(bits, short);
                match what {
                    0 => prop_assert_eq!(list.unblock(prefix).is_some(), plain.remove(&prefix).is_some()),
                    1 => {
                        list.expire(at(end), usize::MAX);
                        plain.retain(|_, until: &mut Until| !until.is_over(at(end)));
                    }
                    _ => {
                        list.block(prefix, Until::Moment(at(end)));
                        plain.insert(prefix, Until::Moment(at(end)));
                    }
                }
                prop_assert_eq!(list.len(), plain.len());
                let source = address(source);
                let blocked = plain.iter().any(|(prefix, until)| prefix.contains(&source) && !until.is_over(at(2)));
                prop_assert_eq!(list.blocks(source, at(2)), blocked);
            }
        }
    }
}
