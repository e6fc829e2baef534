//! What a service keeps of packets before: buckets of limits, and known sources.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroU64},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A limit of a service, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId(pub usize);

/// How many packets may come: a token bucket, told as the virtual scheduling algorithm (GCRA, ITU-T I.371) wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Nanoseconds from a packet to the next at the rate.
    pub interval: NonZeroU64,
    /// Packets at once where there were none for long.
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// How many nanoseconds earlier than at the rate a packet may come.
    pub fn tolerance(self) -> u64 {
        // Less than would make a moment of this century wrap.
        self.interval.get().saturating_mul((self.burst.get() - 1).into()).min(i64::MAX as u64)
    }

    /// The rate as guards write it: how many packets, in how many seconds (1, 60 or 3600); nothing where it is no whole number in any.
    pub fn as_written(self) -> Option<(u64, u64)> {
        let interval = self.interval.get();
        [1, 60, 3600].into_iter().find_map(|seconds| {
            let ns = seconds * 1_000_000_000_u64;
            // The interval was rounded up.
            let count = (ns + interval / 2) / interval;
            (count > 0 && ns.div_ceil(count) == interval).then_some((count, seconds))
        })
    }
}

/// What counts as the same source: how many bits of its address, and whether its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceKey {
    /// Bits of an IPv4 address, 0 to 32.
    pub v4: u8,
    /// Bits of an IPv6 address, 0 to 128.
    pub v6: u8,
    /// Whether sources differ by their UDP ports too.
    pub has_port: bool,
}

impl SourceKey {
    /// The source of a packet. An IPv4-mapped address is the IPv4 address that it is.
    ///
    /// # Panics
    /// The key has more bits than an address.
    pub fn of(self, source: SocketAddr) -> (IpNet, Option<u16>) {
        let prefix: IpNet = match source.ip().to_canonical() {
            IpAddr::V4(address) => Ipv4Net::new(address, self.v4).expect("at most 32 bits").into(),
            IpAddr::V6(address) => Ipv6Net::new(address, self.v6).expect("at most 128 bits").into(),
        };
        (prefix.trunc(), self.has_port.then_some(source.port()))
    }
}

/// A source as a [`SourceKey`] tells it from others.
type Source = (IpNet, Option<u16>);

/// What a service keeps of packets before.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// When the next packet is due, ns.
    due: HashMap<(LimitId, Option<Source>), u64>,
    /// Until when a source is known, ns.
    known: HashMap<Source, u64>,
}

impl Memory {
    /// Takes a token, or says that there is none.
    pub(super) fn take(&mut self, limit: LimitId, source: Option<Source>, rate: RateLimit, now: u64) -> bool {
        let due = self.due.entry((limit, source)).or_insert(now);
        if *due > now.saturating_add(rate.tolerance()) {
            return false;
        }
        *due = (*due).max(now).saturating_add(rate.interval.get());
        true
    }

    /// A source is known before `until`; what was known longer stays so.
    pub(super) fn know(&mut self, source: Source, until: u64) {
        let known = self.known.entry(source).or_default();
        *known = until.max(*known);
    }

    pub(super) fn knows(&self, source: &Source, now: u64) -> bool {
        self.known.get(source).is_some_and(|until| now < *until)
    }
}
