//! Who decides, and where: what is searched side by side.

use weir_filters::{Hook, Owner, names, saved_as_text};

use crate::cell::{Cell, Placement};

/// A place where the decision can be made, in the order from the server's loop to the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub const ALL: [Self; Hook::ALL.len() + 1] = {
        let mut all = [Self::PLAIN; Hook::ALL.len() + 1];
        all[1] = Self::USER;
        let mut at = 2;
        while at < all.len() {
            // The first hook is the server's own loop.
            all[at] = Self::program_at(Hook::ALL[at - 1]);
            at += 1;
        }
        all
    };

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

    /// Where its program is attached.
    pub const fn hook(self) -> Hook {
        self.hook
    }

    /// Whether the others are compared with it: the servers that decide themselves, and the program at the socket.
    pub const fn is_reference(self) -> bool {
        !matches!(self.placement, Placement::Kernel) || matches!(self.hook, Hook::Socket)
    }

    /// Whether it needs an interface that isn't everybody's.
    pub const fn is_below_the_socket(self) -> bool {
        matches!(self.hook.owner(), Owner::Interface)
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

names! { "placement", Decider::name }
saved_as_text!(Decider);

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
