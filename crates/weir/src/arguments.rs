//! Values of the command line that several commands take.

use std::{net::SocketAddr, time::Duration};

use jiff::SignedDuration;
use nix::net::if_::if_nametoindex;

/// An address and a port.
///
/// # Errors
/// Says how they are written: IPv6 in brackets, and no names but of the interface of a zone (RFC 4007, section 11).
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let numbered = match zone(text) {
        Some(zone) => {
            let index = if_nametoindex(zone).map_err(|errno| {
                format!("there is no interface '{zone}' here ({}); `ip link` lists them", errno.desc())
            })?;
            text.replacen(&format!("%{zone}]"), &format!("%{index}]"), 1)
        }
        None => text.to_owned(),
    };
    numbered.parse().map_err(|_| {
        "it takes an address and a port up to 65535, such as 127.0.0.1:12345 or [::1]:12345; names are not looked up"
            .to_owned()
    })
}

/// The zone of an address, where it has the name of an interface and not its number.
fn zone(text: &str) -> Option<&str> {
    let zone = text.split_once('%')?.1.rsplit_once("]:")?.0;
    (zone.parse::<u32>().is_err()).then_some(zone)
}

/// The same of a server that is there already: it has a port.
///
/// # Errors
/// As those of [`socket_address`], and that port 0 is nobody's.
pub(crate) fn server_address(text: &str) -> Result<SocketAddr, String> {
    let address = socket_address(text)?;
    if address.port() == 0 {
        return Err("no server is at port 0; `weir serve` says which one it took".to_owned());
    }
    Ok(address)
}

/// A time above 0 as people write it; see jiff's friendly format.
///
/// # Errors
/// Says how times are written.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "it takes a time above 0, such as 500ms, 5s, 10m or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_may_be_an_interfaces_name() {
        let scope = |text: &str| match socket_address(text) {
            Ok(SocketAddr::V6(address)) => address.scope_id(),
            other => panic!("{text}: {other:?}"),
        };
        let loopback = if_nametoindex("lo").expect("it is everywhere");
        assert_eq!(scope("[fe80::1%lo]:53"), loopback);
        assert_eq!(scope("[fe80::1%2]:53"), 2);
        let refused = socket_address("[fe80::1%no-such-if]:53").expect_err("there is none");
        assert!(refused.contains("no interface 'no-such-if'"), "{refused}");
        for text in ["127.0.0.1%lo:53", "[fe80::1%]:53", "[fe80::1%lo:53", "%lo]:53"] {
            assert!(socket_address(text).is_err(), "{text}");
        }
    }
}
