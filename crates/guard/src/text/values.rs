//! Texts with a small grammar of their own: addresses, prefixes, rates, durations.

use std::{
    net::{IpAddr, SocketAddr},
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use ipnet::IpNet;

use super::table::{Fault, shown};
use crate::meaning::{Listen, Per, RateLimit, SourceKey};

/// The highest rate of a limit, packets a second.
const MOST_PER_SECOND: u64 = 10_000_000;
/// How long a source is known, at most.
const MOST_LASTING: Duration = Duration::from_hours(24 * 365);

/// Digits alone, without the sign that [`str::parse`] takes too.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `udp/53`, `udp/192.0.2.1:53`, `udp/[2001:db8::1]:53`.
pub(super) fn listen(text: &str) -> Result<Listen, Fault> {
    let fault = |message: String| {
        Err(Fault::new(
            message,
            "write 'udp/53' for every address, 'udp/192.0.2.1:53' or 'udp/[2001:db8::1]:53' for one",
        ))
    };
    let Some(place) = text.strip_prefix("udp/") else {
        return fault(format!("'{}' is no UDP address", shown(text)));
    };
    let listen = match place.parse() {
        Ok(SocketAddr::V6(address)) if address.scope_id() != 0 => {
            return fault(format!("the interface in '{}' is not asked: say it as 'interfaces'", shown(text)));
        }
        Ok(address) if address.ip().is_unspecified() => {
            return Err(Fault::new(
                "every address is meant by none",
                format!("write 'udp/{}'", address.port()),
            ));
        }
        Ok(address) => Listen { address: Some(address.ip().to_canonical()), port: address.port() },
        Err(_) => match digits(place) {
            Some(port) => Listen { address: None, port },
            None => return fault(format!("'{}' has no address and port behind udp/", shown(text))),
        },
    };
    if listen.port == 0 { fault("no service listens at port 0".to_owned()) } else { Ok(listen) }
}

/// `192.0.2.0/24`, `2001:db8::/32`, or an address, which is a prefix of all its bits. An IPv4-mapped prefix is the IPv4 prefix
/// that it is.
pub(super) fn prefix(text: &str) -> Result<IpNet, Fault> {
    let net = match text.split_once('/') {
        Some((address, bits)) => {
            address.parse().ok().zip(digits(bits)).and_then(|(address, bits)| IpNet::new(address, bits).ok())
        }
        None => text.parse::<IpAddr>().ok().map(IpNet::from),
    };
    let Some(net) = net else {
        return Err(Fault::new(
            format!("'{}' is no prefix", shown(text)),
            "write '192.0.2.0/24' or '2001:db8::/32', or '@' and the path of a file of such lines",
        ));
    };
    if net.network() != net.addr() {
        return Err(Fault::new(
            format!("'{}' has bits behind its first {}", shown(text), net.prefix_len()),
            format!("write '{}' for the prefix, '{}' for the address", net.trunc(), net.addr()),
        ));
    }
    match net.addr().to_canonical() {
        IpAddr::V4(address) if net.max_prefix_len() == 128 && net.prefix_len() >= 96 => {
            Ok(IpNet::new(address.into(), net.prefix_len() - 96).expect("at most 32 bits"))
        }
        _ => Ok(net),
    }
}

/// `200/s`, `10/m`, `1/h`: how often, and how many at once where nothing else is said: a tenth of a second's.
pub(super) fn rate(text: &str) -> Result<RateLimit, Fault> {
    let help = "write packets per second, minute or hour: '200/s', '10/m', '1/h'";
    let (count, seconds) = match text.split_once('/') {
        Some((count, "s")) => (count, 1),
        Some((count, "m")) => (count, 60),
        Some((count, "h")) => (count, 3600),
        _ => ("", 1),
    };
    let Some(count) = digits::<u64>(count) else {
        return Err(Fault::new(format!("'{}' is no rate", shown(text)), help));
    };
    if count > MOST_PER_SECOND * seconds {
        let message = format!("'{}' is more than {MOST_PER_SECOND} packets a second", shown(text));
        return Err(Fault::new(message, "leave out a limit that nothing meets"));
    }
    // Rounded up: there are never more than the rate says.
    let interval = (count != 0).then(|| (seconds * 1_000_000_000).div_ceil(count)).and_then(NonZeroU64::new);
    let Some(interval) = interval else {
        return Err(Fault::new("a rate of 0 lets nothing pass", "'accept' without the message does that"));
    };
    let burst = u32::try_from(count / (10 * seconds)).ok().and_then(NonZeroU32::new);
    Ok(RateLimit { interval, burst: burst.unwrap_or(NonZeroU32::MIN) })
}

/// `all`, or a source.
pub(super) fn per(text: &str) -> Result<Per, Fault> {
    if text == "all" { Ok(Per::All) } else { source(text).map(Per::Source) }
}

/// `source/32,/56`, `source+port/32,/128`.
pub(super) fn source(text: &str) -> Result<SourceKey, Fault> {
    let (has_port, bits) = match text.strip_prefix("source+port/") {
        Some(bits) => (true, bits),
        None => (false, text.strip_prefix("source/").unwrap_or_default()),
    };
    let bits = bits.split_once(",/").and_then(|(v4, v6)| digits(v4).zip(digits(v6)));
    match bits {
        Some((v4 @ ..=32, v6 @ ..=128)) => Ok(SourceKey { v4, v6, has_port }),
        _ => Err(Fault::new(
            format!("'{}' is no kind of source", shown(text)),
            "write 'source/32,/56': bits of an IPv4 address, at most 32, and of an IPv6 address, at most 128; or 'source+port/…'",
        )),
    }
}

/// `500ms`, `60s`, `5m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let read = units.into_iter().find_map(|(unit, millis)| {
        digits::<u64>(text.strip_suffix(unit)?)?.checked_mul(millis).map(Duration::from_millis)
    });
    match read {
        Some(duration) if !duration.is_zero() && duration <= MOST_LASTING => Ok(duration),
        Some(_) => Err(Fault::new(format!("'{}' is not between 1ms and a year", shown(text)), "write '60s'")),
        None => {
            Err(Fault::new(format!("'{}' is no duration", shown(text)), "write '500ms', '60s', '5m' or '1h'"))
        }
    }
}
