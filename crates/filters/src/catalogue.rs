//! The catalogue: one row for each filter.

use serde::Serialize;

use weir_wire::maps;

use crate::{names, saved_as_text};

/// A map that a filter's kernel program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MapUse {
    /// The map's name in the object.
    pub name: &'static str,
    /// Its kernel type, as `bpftool` prints it.
    pub kind: &'static str,
    /// What its value means.
    pub holds: &'static str,
}

/// What the catalogue says of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// Its name on the command line and in samples.
    pub name: &'static str,
    /// The decision, in a sentence.
    pub decides: &'static str,
    /// The maps of its kernel programs.
    pub maps: &'static [MapUse],
    /// What can be set, and how.
    pub parameters: &'static [&'static str],
    /// [`FilterName::is_dynamic`].
    #[serde(skip)]
    is_dynamic: bool,
}

const VERDICTS: MapUse = map(maps::VERDICTS, "percpu_array", "packets accepted, packets dropped");

const fn map(name: &'static str, kind: &'static str, holds: &'static str) -> MapUse {
    MapUse { name, kind, holds }
}

/// Makes [`FilterName`] of the catalogue's rows.
macro_rules! catalogue {
    ($(
        $(#[$doc:meta])+
        $variant:ident = $name:literal, is_dynamic $is_dynamic:literal,
        decides $decides:literal,
        maps $maps:expr,
        parameters $parameters:expr;
    )+) => {
        /// Which decision a filter makes. Its text form is the name that the catalogue lists.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FilterName {
            $($(#[$doc])+ $variant,)+
        }

        names! {
            /// The name on the command line and in samples.
            "filter", FilterName::as_str { $($variant = $name),+ }
        }

        impl FilterName {
            /// What the catalogue says of this filter.
            pub const fn entry(self) -> &'static CatalogueEntry {
                match self {
                    $(Self::$variant => {
                        const ENTRY: CatalogueEntry = CatalogueEntry {
                            name: $name,
                            decides: $decides,
                            maps: &$maps,
                            parameters: &$parameters,
                            is_dynamic: $is_dynamic,
                        };
                        &ENTRY
                    })+
                }
            }
        }
    };
}

catalogue! {
    /// Accept everything.
    Simple = "simple-socket-filter", is_dynamic false,
    decides "accepts everything, so that user space decides",
    maps [],
    parameters [];

    /// Drop everything.
    Reject = "reject-filter", is_dynamic false,
    decides "drops everything",
    maps [VERDICTS],
    parameters [];

    /// Accept payloads that begin with a command.
    ValidCommand = "valid-command", is_dynamic false,
    decides "accepts payloads that begin with PUT, GET, DELETE or STOP",
    maps [VERDICTS],
    parameters [];

    /// The same, where the UDP length is that command's too.
    RobustValidCommand = "robust-valid-command", is_dynamic false,
    decides "accepts the same payloads where the UDP length is that command's: 23, 15, 18 or 12",
    maps [VERDICTS],
    parameters [];

    /// Accept or drop everything, as a parameter says.
    Parameterized = "parameterized-filter", is_dynamic false,
    decides "accepts everything while its parameter is 0, drops everything otherwise",
    maps [VERDICTS, map(maps::PARAMETER, "array", "0 to accept, else drop")],
    parameters [
        "--parameter accept|drop",
        "--bind map (SIGUSR1 flips it while it runs) or constant (fixed at load)",
    ];

    /// Accept everything and keep a copy of each CPU's last packet.
    Print = "print-filter", is_dynamic false,
    decides "accepts everything and keeps up to 500 bytes of each CPU's last packet",
    maps [VERDICTS, map(maps::CAPTURE, "percpu_array", "length, captured length, bytes of the last packet")],
    parameters [];

    /// Accept everything and count it per CPU.
    Count = "count-filter", is_dynamic false,
    decides "accepts everything and counts it, valid and invalid alike",
    maps [VERDICTS, map(maps::COUNTER, "percpu_array", "packets seen")],
    parameters [];

    /// Accept valid commands, those that ask for a key only where the key is known.
    KnownKey = "known-key", is_dynamic true,
    decides "accepts what robust-valid-command accepts, GET and DELETE only of keys that the bag holds",
    maps [VERDICTS, map(maps::KEYS, "hash", "keys of the bag; 1")],
    parameters [];

    /// Accept as many packets of a source as its quota allows.
    Quota = "quota", is_dynamic true,
    decides "drops packets of a source beyond its quota; alone or before another filter, as in quota+valid-command",
    maps [
        VERDICTS,
        map(maps::QUOTA, "array", "ns from packet to packet, ns that one may be early"),
        map(maps::SOURCES, "lru_hash", "source to when its next packet is due, ns"),
    ],
    parameters ["--quota RATE[/BURST]; weir filter quota changes it while it runs"];

    /// Accept what doesn't come from a blocked source.
    Blocklist = "blocklist", is_dynamic true,
    decides "drops packets from blocked prefixes; alone or before another filter, as in blocklist+valid-command",
    maps [VERDICTS, map(maps::BLOCKLIST, "lpm_trie", "prefix to when it ends, ns; 0 for ever")],
    parameters ["weir filter block|unblock|list, while it runs"];
}

saved_as_text!(FilterName);

impl FilterName {
    /// Whether a decision can depend on the packet's source, on the time, or on packets before it.
    pub const fn is_dynamic(self) -> bool {
        self.entry().is_dynamic
    }
}
