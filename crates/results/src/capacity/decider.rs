//! Who decides, and where: what is searched side by side.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use weir_filters::{Hook, UnknownName};

use crate::cell::{Cell, Placement};

/// A place where the decision can be made, in the order from the server's loop to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub struct Decider {
    placement: Placement,
    hook: Hook,
}

impl Decider {
    /// The server, with no program attached anywhere.
    pub const PLAIN: Self = Self { placement: Placement::Plain, hook: Hook::User };
    /// The server, behind the accept-all program at the socket.
    pub const USER: Self = Self { placement: Placement::User, hook: Hook::Socket };
    /// The program at the socket.
    pub const KERNEL: Self = Self::program_at(Hook::Socket);

    /// All that capacities are searched of; a row each of the definition.
    pub const ALL: [Self; 7] = [
        Self::PLAIN,
        Self::USER,
        Self::KERNEL,
        Self::program_at(Hook::Reuseport),
        Self::program_at(Hook::Cgroup),
        Self::program_at(Hook::Tc),
        Self::program_at(Hook::Xdp),
    ];

    const fn program_at(hook: Hook) -> Self {
        Self { placement: Placement::Kernel, hook }
    }

    /// Who decides in `cell`.
    pub const fn of(cell: &Cell) -> Self {
        Self { placement: cell.placement, hook: cell.hook }
    }

    /// Where the decision is made.
    pub const fn placement(self) -> Placement {
        self.placement
    }

    /// Whether the others are compared with it: the servers that decide themselves, and the program at the socket.
    pub const fn is_reference(self) -> bool {
        !matches!(self.placement, Placement::Kernel) || matches!(self.hook, Hook::Socket)
    }

    /// Whether it needs an interface that isn't everybody's.
    pub const fn is_below_the_socket(self) -> bool {
        matches!(self.hook, Hook::Tc | Hook::Xdp)
    }

    /// Its name on the command line, in text and in records: the placement's, or the hook's of a program elsewhere than
    /// at the socket.
    pub const fn name(self) -> &'static str {
        match (self.placement, self.hook) {
            (Placement::Kernel, Hook::Socket) => Placement::Kernel.name(),
            (Placement::Kernel, hook) => hook.as_str(),
            (placement, _) => placement.name(),
        }
    }
}

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Decider> for &'static str {
    fn from(decider: Decider) -> Self {
        decider.name()
    }
}

impl TryFrom<String> for Decider {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        name.parse()
    }
}

impl FromStr for Decider {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        UnknownName::find("placement", name, &Self::ALL, Self::name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_that_is_read_back() {
        let names: BTreeSet<_> = Decider::ALL.iter().map(|decider| decider.name()).collect();
        assert_eq!(names.len(), Decider::ALL.len());
        for decider in Decider::ALL {
            assert_eq!(decider.name().parse(), Ok(decider));
        }
        let error = "socket".parse::<Decider>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown placement 'socket'; there are: plain, user, kernel, reuseport, cgroup, tc, xdp"
        );
    }
}
