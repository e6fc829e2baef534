//! Whose STOP ends the server.

use std::net::IpAddr;

use weir_filters::names;

/// Whose STOP is obeyed. A datagram's source address can be forged, but one from the loopback network does not
/// come in through another interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AllowStop {
    /// This machine's own, by loopback addresses.
    #[default]
    Loopback,
    /// Anyone's who can send a datagram.
    Any,
    /// Nobody's: only a signal ends the server.
    Never,
}

names! {
    /// The name on the command line.
    "STOP policy", AllowStop::as_str { Loopback = "loopback", Any = "any", Never = "never" }
}

impl AllowStop {
    /// Whether a STOP from `source` is obeyed. An IPv4 address in IPv6 clothes counts as the IPv4 address.
    pub fn allows(self, source: IpAddr) -> bool {
        match self {
            Self::Loopback => source.to_canonical().is_loopback(),
            Self::Any => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: AllowStop, source: &str, expected: bool) {
        assert_eq!(policy.allows(source.parse().unwrap()), expected, "{policy}, {source}");
    }

    #[test]
    fn loopback_means_loopback_addresses_of_either_family() {
        check(AllowStop::Loopback, "127.0.0.1", true);
        check(AllowStop::Loopback, "127.9.9.9", true);
        check(AllowStop::Loopback, "::1", true);
        check(AllowStop::Loopback, "::ffff:127.0.0.1", true);
        check(AllowStop::Loopback, "192.0.2.1", false);
        check(AllowStop::Loopback, "::ffff:192.0.2.1", false);
        check(AllowStop::Loopback, "2001:db8::1", false);
    }

    #[test]
    fn any_and_never_look_at_no_address() {
        check(AllowStop::Any, "192.0.2.1", true);
        check(AllowStop::Never, "127.0.0.1", false);
    }

    #[test]
    fn a_policy_reads_back_as_it_is_written() {
        for policy in AllowStop::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
    }

    #[test]
    fn an_unknown_policy_lists_those_there_are() {
        let error = "always".parse::<AllowStop>().unwrap_err().to_string();
        assert_eq!(error, "unknown STOP policy 'always'; there are: loopback, any, never");
    }
}
