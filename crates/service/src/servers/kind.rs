//! Which servers there are, and which filters they fit.

use thiserror::Error;
use weir_filters::{FilterName, Hook, Toolkit, fun::probe::Probe, names};

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
    /// No program: the server filters in user space.
    Plain,
    /// Filters with the generated program.
    SocketFilter,
    /// Filters in user space, and shows at the end how many receive calls it made.
    Snoop,
    /// Both.
    SnoopFilter,
    /// Filters in user space, and shows the kernel's trace line of each receive call.
    Printk,
}

/// A server's name, what it does without being told, and what it needs.
struct KindFacts {
    name: &'static str,
    /// Toolkit and hook, unless others are asked for.
    usual: Option<(Toolkit, Hook)>,
    probe: Option<Probe>,
    /// The only filter that it serves behind.
    only: Option<FilterName>,
    fits: fn(FilterName, Toolkit, Hook) -> bool,
    needs: &'static str,
}

const ANY: KindFacts =
    KindFacts { name: "", usual: None, probe: None, only: None, fits: |_, _, _| true, needs: "" };
const IN_USER_SPACE: Option<(Toolkit, Hook)> = Some((Toolkit::Rust, Hook::User));
const GENERATED: KindFacts = KindFacts {
    usual: Some((Toolkit::Fun, Hook::Socket)),
    fits: |filter, _, hook| filter == FilterName::ValidCommand && hook == Hook::Socket,
    needs: "valid-command at hook socket",
    ..ANY
};

fn only_behind(filter: FilterName) -> KindFacts {
    KindFacts { only: Some(filter), needs: filter.as_str(), ..ANY }
}

/// A server that can't do its work behind that filter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{server} needs {needs}; it can't serve behind {filter} with toolkit {toolkit} at hook {hook}")]
pub struct Misfit {
    server: ServerKind,
    needs: &'static str,
    filter: FilterName,
    toolkit: Toolkit,
    hook: Hook,
}

impl ServerKind {
    /// Every server.
    pub const ALL: [Self; 10] = [
        Self::Simple,
        Self::Parameterized,
        Self::Print,
        Self::Count,
        Self::EbpfStats,
        Self::Plain,
        Self::SocketFilter,
        Self::Snoop,
        Self::SnoopFilter,
        Self::Printk,
    ];

    /// The name on the command line and in samples.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The server that shows what this filter is for.
    pub fn default_for(filter: FilterName) -> Self {
        Self::ALL.into_iter().find(|kind| kind.row().only == Some(filter)).unwrap_or(Self::Simple)
    }

    /// The toolkit and the hook of this server's filter, unless others are asked for; most have none of their own.
    pub fn usual_placement(self) -> Option<(Toolkit, Hook)> {
        self.row().usual
    }

    /// What watches this server's receive calls.
    pub fn probe(self) -> Option<Probe> {
        self.row().probe
    }

    /// Whether it can serve behind that filter at that hook.
    pub fn check(self, filter: FilterName, toolkit: Toolkit, hook: Hook) -> Result<(), Misfit> {
        let KindFacts { only, fits, needs, .. } = self.row();
        if only.is_none_or(|only| only == filter) && fits(filter, toolkit, hook) {
            Ok(())
        } else {
            Err(Misfit { server: self, needs, filter, toolkit, hook })
        }
    }

    fn row(self) -> KindFacts {
        match self {
            Self::Simple => KindFacts { name: "simple-server", ..ANY },
            Self::Parameterized => {
                KindFacts { name: "parameterized-server", ..only_behind(FilterName::Parameterized) }
            }
            Self::Print => KindFacts { name: "print-server", ..only_behind(FilterName::Print) },
            Self::Count => KindFacts { name: "count-server", ..only_behind(FilterName::Count) },
            Self::EbpfStats => KindFacts {
                name: "ebpf-stats-server",
                fits: |_, toolkit, hook| hook != Hook::User && toolkit.can_be_asked(),
                needs: "a kernel program that has statistics, so a hook other than user and a \
                        toolkit other than cbpf",
                ..ANY
            },
            Self::Plain => KindFacts {
                name: "plain",
                usual: IN_USER_SPACE,
                fits: |_, _, hook| hook == Hook::User,
                needs: "no program, so hook user",
                ..ANY
            },
            Self::SocketFilter => KindFacts { name: "socketfilter", ..GENERATED },
            Self::Snoop => {
                KindFacts { name: "snoop", usual: IN_USER_SPACE, probe: Some(Probe::Snoop), ..ANY }
            }
            Self::SnoopFilter => KindFacts { name: "snoop-filter", probe: Some(Probe::Snoop), ..GENERATED },
            Self::Printk => {
                KindFacts { name: "printk", usual: IN_USER_SPACE, probe: Some(Probe::Printk), ..ANY }
            }
        }
    }
}

names! { "server", ServerKind::as_str }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_a_row_and_is_found_by_its_name() {
        for kind in ServerKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn every_server_fits_where_it_usually_stands() {
        for kind in ServerKind::ALL {
            if let Some((toolkit, hook)) = kind.usual_placement() {
                assert_eq!(kind.check(FilterName::ValidCommand, toolkit, hook), Ok(()));
            }
        }
    }
}
