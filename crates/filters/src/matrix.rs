//! Which filter can be written with which toolkit and run at which hook, and for each gap the reason.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{FilterName, UnknownName};

/// How a filter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Toolkit {
    /// Plain Rust, in the server's loop.
    Rust,
    /// Rust compiled to BPF ahead of time.
    Aya,
}

/// Where a filter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// In the server's loop: no program is attached.
    User,
    /// At the socket, before a packet enters its receive buffer (`SO_ATTACH_BPF`, Linux 3.19).
    Socket,
}

/// A filter written with a toolkit for a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Combination {
    /// The filter.
    pub filter: FilterName,
    /// How it is written.
    pub toolkit: Toolkit,
    /// Where it runs.
    pub hook: Hook,
}

/// Why a combination doesn't exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap(pub &'static str);

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Combination {
    /// Every combination, those that exist and those that don't.
    pub fn all() -> impl Iterator<Item = Self> {
        FilterName::ALL.into_iter().flat_map(|filter| {
            Toolkit::ALL.into_iter().flat_map(move |toolkit| {
                Hook::ALL.into_iter().map(move |hook| Self { filter, toolkit, hook })
            })
        })
    }

    /// Whether the combination exists, or the reason why not.
    pub fn available(self) -> Result<(), Gap> {
        match (self.toolkit, self.hook) {
            (Toolkit::Aya, Hook::Socket) => Ok(()),
            (Toolkit::Aya, Hook::User) => {
                Err(Gap("an Aya program runs in the kernel; at the hook 'user' the toolkit is 'rust'"))
            }
            (Toolkit::Rust, Hook::Socket) => Err(Gap(
                "plain Rust runs in the server's loop; the kernel takes BPF, which 'aya' makes of Rust",
            )),
            (Toolkit::Rust, Hook::User) => match self.filter {
                FilterName::Print => {
                    Err(Gap("it shows what a kernel program saw; there is none at this hook"))
                }
                FilterName::Count => {
                    Err(Gap("it counts per CPU where the kernel runs it; the server's own counts serve here"))
                }
                _ => Ok(()),
            },
        }
    }
}

impl Toolkit {
    /// Every toolkit.
    pub const ALL: [Self; 2] = [Self::Rust, Self::Aya];

    /// The name on the command line and in samples.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Aya => "aya",
        }
    }
}

impl Hook {
    /// Every hook, from the application down towards the wire.
    pub const ALL: [Self; 2] = [Self::User, Self::Socket];

    /// The name on the command line and in samples.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Socket => "socket",
        }
    }

    /// The toolkit that a user who names only the hook means.
    pub const fn default_toolkit(self) -> Toolkit {
        match self {
            Self::User => Toolkit::Rust,
            Self::Socket => Toolkit::Aya,
        }
    }
}

impl fmt::Display for Toolkit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Toolkit {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("toolkit", name, &Self::ALL, Self::as_str)
    }
}

impl FromStr for Hook {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("hook", name, &Self::ALL, Self::as_str)
    }
}
