//! What is said over the control socket: one JSON object a line, in and out.

use std::{
    fmt,
    net::IpAddr,
    num::{NonZeroU32, NonZeroU64},
    str::FromStr,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use weir_filters::{Filter, Parameter, Quota, Toolkit, saved_as_text};
use weir_hooks::VerdictCounts;

use crate::{GuardStatus, Replaced};

/// What a running server is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControlRequest {
    /// What runs, and what it did.
    Status,
    /// Drop what comes from a prefix.
    Block {
        /// The prefix.
        prefix: Prefix,
        /// For how long, milliseconds; until it is unblocked where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<NonZeroU64>,
    },
    /// Drop what comes from any of several prefixes.
    BlockAll {
        /// The prefixes; as many as a request has room for.
        prefixes: Vec<Prefix>,
        /// For how long, milliseconds; until they are unblocked where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_ms: Option<NonZeroU64>,
    },
    /// Undo the blocking of exactly that prefix.
    Unblock {
        /// The prefix.
        prefix: Prefix,
    },
    /// What is blocked.
    List,
    /// What parameterized-filter does.
    Parameter {
        /// Accept or drop.
        parameter: Parameter,
    },
    /// How many packets a source may send.
    Quota {
        /// Packets/s.
        rate: u32,
        /// Packets at once.
        burst: NonZeroU32,
    },
    /// Another filter in the place of the running one.
    Swap {
        /// The filter, with the source checks before it.
        #[serde(with = "weir_filters::text")]
        filter: Filter,
        /// How it is written; as the one before where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        toolkit: Option<Toolkit>,
    },
}

/// What a running guard is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum GuardRequest {
    /// What it stands before, and what it decided.
    Status,
    /// Read its file anew, with what that names, and stand for that.
    Reload,
    /// Drop what the rules of a service drop.
    Enforce {
        /// The service.
        service: String,
    },
    /// Count what the rules of a service drop, and let it pass.
    Observe {
        /// The service.
        service: String,
    },
    /// Prefixes that are blocked or allowed besides what the file says, or are so no more.
    List {
        /// The service.
        service: String,
        /// Which of its lists.
        list: GuardList,
        /// Whether they go from it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        remove: bool,
        /// The prefixes; as many as a request has room for.
        prefixes: Vec<Prefix>,
    },
}

/// A list of a service, to which prefixes are added by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardList {
    /// Sources that are dropped whatever they send.
    Block,
    /// Sources that are accepted whatever they send.
    Allow,
}

/// What a running server or guard says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// It was done; in a sentence what.
    Done {
        /// The sentence.
        did: String,
    },
    /// To [`ControlRequest::Status`].
    Status(Status),
    /// To [`GuardRequest::Status`].
    Guard(GuardStatus),
    /// To [`ControlRequest::List`].
    Blocked {
        /// In the order of their addresses.
        prefixes: Vec<BlockedPrefix>,
    },
    /// It was not done, and nothing has changed.
    Error {
        /// What was tried, why it wasn't, and what there is instead.
        error: String,
    },
}

/// What runs, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The filter, with the source checks before it.
    pub filter: String,
    /// How it is written.
    pub toolkit: Toolkit,
    /// Where it runs.
    pub hook: weir_filters::Hook,
    /// Where it decides, where that isn't `hook` ([`crate::ServerSummary::decides_at`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decides_at: Option<weir_filters::Hook>,
    /// Of all programs so far; nothing where one of them keeps no counts.
    pub verdicts: Option<VerdictCounts>,
    /// The programs that ran before this one.
    pub replaced: Vec<Replaced>,
    /// What parameterized-filter does.
    pub parameter: Option<Parameter>,
    /// What each source may send, where a quota is in the chain.
    pub quota: Option<Quota>,
    /// How many prefixes are blocked, where a blocklist is in the chain.
    pub blocked: Option<usize>,
    /// Since the server was ready, milliseconds.
    pub uptime_ms: u64,
}

/// A prefix that is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedPrefix {
    /// The prefix.
    pub prefix: Prefix,
    /// How much longer, milliseconds; until it is unblocked where nothing is said.
    pub left_ms: Option<u64>,
}

/// An address or a prefix of addresses, IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(pub IpNet);

/// A text that is no prefix.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("'{0}' is neither an address nor a prefix; such as 192.0.2.7, 10.0.0.0/8, 2001:db8::/32")]
pub struct NoPrefix(String);

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for Prefix {
    type Err = NoPrefix;

    /// An address stands for itself alone; bits behind the prefix's are cleared.
    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(|net: IpNet| Self(net.trunc())).map_err(|_| NoPrefix(text.to_owned()))
    }
}

saved_as_text!(Prefix);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: ControlRequest) {
        let read: ControlRequest = serde_json::from_str(line).expect(line);
        assert_eq!(read, expected, "{line}");
        let written = serde_json::to_string(&expected).expect("a request is written");
        assert_eq!(
            serde_json::from_str::<ControlRequest>(&written).expect("it is read again"),
            expected,
            "{written}"
        );
    }

    #[test]
    fn requests_are_read_as_they_are_documented() {
        check(r#"{"request":"status"}"#, ControlRequest::Status);
        let prefix = "10.0.0.0/8".parse().expect("a prefix");
        check(
            r#"{"request":"block","prefix":"10.1.2.3/8","for_ms":5}"#,
            ControlRequest::Block { prefix, for_ms: NonZeroU64::new(5) },
        );
        let prefix = "::1".parse().expect("an address");
        check(r#"{"request":"unblock","prefix":"::1"}"#, ControlRequest::Unblock { prefix });
        let burst = NonZeroU32::new(7).expect("7");
        check(r#"{"request":"quota","rate":9,"burst":7}"#, ControlRequest::Quota { rate: 9, burst });
        let filter = "blocklist+valid-command".parse().expect("a chain");
        check(
            r#"{"request":"swap","filter":"blocklist+valid-command"}"#,
            ControlRequest::Swap { filter, toolkit: None },
        );
        check(
            r#"{"request":"parameter","parameter":"drop"}"#,
            ControlRequest::Parameter { parameter: Parameter::Drop },
        );
    }

    #[test]
    fn what_is_no_request_says_what_there_is() {
        let check = |line: &str, expected: &str| {
            let error = serde_json::from_str::<ControlRequest>(line).expect_err(line).to_string();
            assert!(error.contains(expected), "{line}: {error}");
        };
        check(r#"{"request":"reboot"}"#, "expected one of `status`, `block`, `block-all`, `unblock`, `list`");
        check(r#"{"request":"swap","filter":"odd-length"}"#, "there are: simple-socket-filter");
        check(r#"{"request":"block","prefix":"10.0.0.0/33"}"#, "such as 192.0.2.7");
        check(r#"{"request":"quota","rate":9}"#, "missing field `burst`");
        check(r#"{"request":"block","prefix":"::1","for_ms":0}"#, "expected a nonzero u64");
        check(r#"{"request":"block","prefix":"::1","untill":5}"#, "expected `prefix` or `for_ms`");
    }
}
