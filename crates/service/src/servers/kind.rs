//! Which servers there are, and which filters they fit.

use std::{fmt, str::FromStr};

use thiserror::Error;
use weir_filters::{FilterName, Hook, UnknownName};

/// A server of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// Nothing more than the bag server.
    Simple,
    /// Sets the parameter, and changes it on SIGUSR1.
    Parameterized,
    /// Shows each CPU's last packet at the end.
    Print,
    /// Shows each CPU's count and the total at the end.
    Count,
    /// Shows at the end how often the program ran and for how long.
    EbpfStats,
}

/// A server that can't do its work behind that filter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{server} needs {needs}; it can't serve behind {filter} at hook {hook}")]
pub struct Misfit {
    server: ServerKind,
    needs: &'static str,
    filter: FilterName,
    hook: Hook,
}

impl ServerKind {
    /// Every server.
    pub const ALL: [Self; 5] = [Self::Simple, Self::Parameterized, Self::Print, Self::Count, Self::EbpfStats];

    /// The name on the command line and in samples.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple-server",
            Self::Parameterized => "parameterized-server",
            Self::Print => "print-server",
            Self::Count => "count-server",
            Self::EbpfStats => "ebpf-stats-server",
        }
    }

    /// The server that shows what this filter is for.
    pub const fn default_for(filter: FilterName) -> Self {
        match filter {
            FilterName::Parameterized => Self::Parameterized,
            FilterName::Print => Self::Print,
            FilterName::Count => Self::Count,
            _ => Self::Simple,
        }
    }

    /// Whether it can serve behind that filter at that hook.
    pub fn check(self, filter: FilterName, hook: Hook) -> Result<(), Misfit> {
        let (fits, needs) = match self {
            Self::Simple => (true, ""),
            Self::Parameterized => (filter == FilterName::Parameterized, "parameterized-filter"),
            Self::Print => (filter == FilterName::Print, "print-filter"),
            Self::Count => (filter == FilterName::Count, "count-filter"),
            Self::EbpfStats => (hook != Hook::User, "a kernel program, so a hook other than user"),
        };
        if fits { Ok(()) } else { Err(Misfit { server: self, needs, filter, hook }) }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ServerKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("server", name, &Self::ALL, Self::as_str)
    }
}
