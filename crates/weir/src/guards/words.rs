//! Parts of a guard in the words in which guards are written.

use std::num::NonZeroU32;

use weir_guard::meaning::{
    Decision, Fate, GuardHook, Limit, Listen, MessageId, Per, Placement, RateLimit, Senders, Service,
    SourceKey, UnjudgedKind,
};

pub(super) fn listen(listen: Listen) -> String {
    match listen.address {
        None => format!("udp/{}", listen.port),
        Some(address) => format!("udp/{}", std::net::SocketAddr::new(address, listen.port)),
    }
}

pub(super) const fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Drop => "drop",
        Fate::Pass => "pass",
    }
}

pub(super) fn placement(at: &Placement) -> String {
    let hook = match at.hook {
        None => "auto",
        Some(GuardHook::Socket) => "socket",
        Some(GuardHook::Cgroup) => "cgroup",
        Some(GuardHook::Tc) => "tc",
        Some(GuardHook::Xdp) => "xdp",
    };
    let interfaces = at.interfaces.iter().map(|interface| format!("interface {interface}"));
    let group = at.group.iter().map(|group| format!("control group {group}"));
    let unit = at.unit.iter().map(|unit| format!("unit {unit}"));
    let pid = at.pid.iter().map(|pid| format!("pid {pid}"));
    let network = at.network.iter().map(|network| format!("network namespace {network}"));
    std::iter::once(hook.to_owned())
        .chain(interfaces)
        .chain(group)
        .chain(unit)
        .chain(pid)
        .chain(network)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A count of things, in the singular or the plural.
pub(super) fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}{}", if thing.ends_with('x') { "es" } else { "s" }),
    }
}

/// `from …`, or nothing where it is everybody.
pub(super) fn senders(senders: &Senders) -> String {
    match senders {
        Senders::Anyone => "anyone".to_owned(),
        Senders::Known => "known sources".to_owned(),
        Senders::Unknown => "unknown sources".to_owned(),
        Senders::Listed(list) => counted(list.prefixes().len(), "prefix"),
    }
}

pub(super) fn source(key: SourceKey) -> String {
    let port = if key.has_port { "+port" } else { "" };
    format!("source{port}/{},/{}", key.v4, key.v6)
}

pub(super) fn rate(rate: RateLimit) -> String {
    match rate.as_written() {
        Some((count, 1)) => format!("{count}/s"),
        Some((count, 60)) => format!("{count}/m"),
        Some((count, _)) => format!("{count}/h"),
        None => format!("1/{} ns", rate.interval),
    }
}

/// A limit without the message that it is of.
pub(super) fn limit(limit: &Limit) -> String {
    let per = match limit.per {
        Per::All => "all".to_owned(),
        Per::Source(key) => source(key),
    };
    let burst = match limit.rate.burst {
        NonZeroU32::MIN => String::new(),
        burst => format!(", {burst} at once"),
    };
    let from = match &limit.from {
        Senders::Anyone => String::new(),
        from => format!(", from {}", senders(from)),
    };
    format!("{}{burst} per {per}{from}", rate(limit.rate))
}

/// A decision as a sentence about the packet.
pub(super) fn sentence(decision: Decision, service: &Service) -> String {
    let name = |message: MessageId| &service.protocol.message(message).name;
    match decision {
        Decision::Allowed => "accepted: its source is on 'allow'".to_owned(),
        Decision::Blocked => "dropped: its source is on 'block'".to_owned(),
        Decision::NoMessage => "dropped: no message of the protocol".to_owned(),
        Decision::Unwelcome(message) => format!("dropped: {} is unwelcome", name(message)),
        Decision::OverLimit(message, id) => {
            format!("dropped: {} over {}", name(message), limit(&service.limits[id.0]))
        }
        Decision::Accepted(message) => format!("accepted: {}", name(message)),
        Decision::Unjudged(kind, fate) => {
            let fate = match fate {
                Fate::Drop => "dropped",
                Fate::Pass => "accepted",
            };
            let what = match kind {
                UnjudgedKind::Fragment => "a fragment",
                UnjudgedKind::Unreadable => "more headers than are read, or a length of 0",
                UnjudgedKind::SuperPacket => "several datagrams in one",
            };
            format!("{fate}: {what}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn a_rate_is_told_as_it_was_written() {
        let check = |ns: u64, count: u64, expected: &str| {
            let interval = NonZeroU64::new((ns * 1_000_000_000).div_ceil(count)).expect("above 0");
            assert_eq!(rate(RateLimit { interval, burst: NonZeroU32::MIN }), expected);
        };
        check(1, 200, "200/s");
        check(1, 3, "3/s");
        check(1, 10_000_000, "10000000/s");
        check(60, 10, "10/m");
        check(60, 60, "1/s");
        check(3600, 1, "1/h");
        check(3600, 7, "7/h");
    }
}
