//! Whose STOP ends the server.

use std::{fmt, net::IpAddr, str::FromStr};

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

impl AllowStop {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Loopback, Self::Any, Self::Never];

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Any => "any",
            Self::Never => "never",
        }
    }

    /// Whether a STOP from `source` is obeyed. An IPv4 address in IPv6 clothes counts as the IPv4 address.
    pub fn allows(self, source: IpAddr) -> bool {
        match self {
            Self::Loopback => source.to_canonical().is_loopback(),
            Self::Any => true,
            Self::Never => false,
        }
    }
}

impl fmt::Display for AllowStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AllowStop {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name).ok_or_else(|| {
            format!("unknown STOP policy '{name}'; there are: {}", Self::ALL.map(Self::as_str).join(", "))
        })
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
        let error = "always".parse::<AllowStop>().unwrap_err();
        assert_eq!(error, "unknown STOP policy 'always'; there are: loopback, any, never");
    }
}
