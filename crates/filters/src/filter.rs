//! A filter as it is asked for: a name and typed parameters.

use serde::{Deserialize, Serialize};

use crate::{FilterName, KNOWN_KEYS, QUOTA_SOURCES, Quota, SourceChecks, names};

/// What `parameterized-filter` does with every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// Accept; the value 0 in the map or the constant.
    #[default]
    Accept,
    /// Drop; the value 1, and any other value reads as it does.
    Drop,
}

names! {
    /// The name on the command line.
    "parameter", Parameter::as_str { Accept = "accept", Drop = "drop" }
}

impl Parameter {
    /// The value that stands for it in a map or a constant.
    pub const fn value(self) -> u32 {
        match self {
            Self::Accept => 0,
            Self::Drop => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn flipped(self) -> Self {
        match self {
            Self::Accept => Self::Drop,
            Self::Drop => Self::Accept,
        }
    }
}

/// How a parameter reaches the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Binding {
    /// Through a map, so that user space can change it while the program runs.
    #[default]
    Map,
    /// As a constant set when the program is loaded, so that the verifier removes the branch not taken.
    Constant,
}

names! {
    /// The name on the command line.
    "binding", Binding::as_str { Map = "map", Constant = "constant" }
}

/// A filter ready to be decided or loaded: its name and its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The decision.
    pub name: FilterName,
    /// Read by `parameterized-filter` alone.
    pub parameter: Parameter,
    /// Read by `parameterized-filter` alone.
    pub binding: Binding,
    /// Read by `quota` alone, in the chain or by itself.
    pub quota: Quota,
    /// How many keys `known-key` has room for; read by it alone.
    pub known_keys: u32,
    /// How many sources `quota` remembers; read by it alone, in the chain or by itself. Some more than there are: each CPU
    /// keeps a few free entries to itself (kernel/bpf/bpf_lru_list.c).
    pub quota_sources: u32,
    /// What decides before it.
    pub checks: SourceChecks,
}

impl Filter {
    /// Whether the parameter can be changed while the filter runs.
    pub fn has_changeable_parameter(&self) -> bool {
        self.name == FilterName::Parameterized && self.binding == Binding::Map
    }
}

impl From<FilterName> for Filter {
    /// The filter with its default parameters.
    fn from(name: FilterName) -> Self {
        Self {
            name,
            parameter: Parameter::default(),
            binding: Binding::default(),
            quota: Quota::default(),
            known_keys: KNOWN_KEYS,
            quota_sources: QUOTA_SOURCES,
            checks: SourceChecks::NONE,
        }
    }
}
