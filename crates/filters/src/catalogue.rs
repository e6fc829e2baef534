//! The catalogue: one row for each filter.

use serde::Serialize;

use weir_wire::maps;

use crate::FilterName;

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
}

const VERDICTS: MapUse =
    MapUse { name: maps::VERDICTS, kind: "percpu_array", holds: "packets accepted, packets dropped" };

/// The row of `name`.
pub(crate) const fn entry(name: FilterName) -> &'static CatalogueEntry {
    match name {
        FilterName::Simple => &CatalogueEntry {
            name: "simple-socket-filter",
            decides: "accepts everything, so that user space decides",
            maps: &[],
            parameters: &[],
        },
        FilterName::Reject => &CatalogueEntry {
            name: "reject-filter",
            decides: "drops everything",
            maps: &[VERDICTS],
            parameters: &[],
        },
        FilterName::ValidCommand => &CatalogueEntry {
            name: "valid-command",
            decides: "accepts payloads that begin with PUT, GET, DELETE or STOP",
            maps: &[VERDICTS],
            parameters: &[],
        },
        FilterName::RobustValidCommand => &CatalogueEntry {
            name: "robust-valid-command",
            decides: "accepts the same payloads where the UDP length is that command's: 23, 15, 18 or 12",
            maps: &[VERDICTS],
            parameters: &[],
        },
        FilterName::Parameterized => &CatalogueEntry {
            name: "parameterized-filter",
            decides: "accepts everything while its parameter is 0, drops everything otherwise",
            maps: &[
                VERDICTS,
                MapUse { name: maps::PARAMETER, kind: "array", holds: "0 to accept, else drop" },
            ],
            parameters: &[
                "--parameter accept|drop",
                "--bind map (SIGUSR1 flips it while it runs) or constant (fixed at load)",
            ],
        },
        FilterName::Print => &CatalogueEntry {
            name: "print-filter",
            decides: "accepts everything and keeps up to 500 bytes of each CPU's last packet",
            maps: &[
                VERDICTS,
                MapUse {
                    name: maps::CAPTURE,
                    kind: "percpu_array",
                    holds: "length, captured length, bytes of the last packet",
                },
            ],
            parameters: &[],
        },
        FilterName::Count => &CatalogueEntry {
            name: "count-filter",
            decides: "accepts everything and counts it, valid and invalid alike",
            maps: &[VERDICTS, MapUse { name: maps::COUNTER, kind: "percpu_array", holds: "packets seen" }],
            parameters: &[],
        },
        FilterName::KnownKey => &CatalogueEntry {
            name: "known-key",
            decides: "accepts what robust-valid-command accepts, GET and DELETE only of keys that the bag holds",
            maps: &[VERDICTS, MapUse { name: maps::KEYS, kind: "hash", holds: "keys of the bag; 1" }],
            parameters: &[],
        },
        FilterName::Quota => &CatalogueEntry {
            name: "quota",
            decides: "drops packets of a source beyond its quota; alone or before another filter, as in quota+valid-command",
            maps: &[
                VERDICTS,
                MapUse {
                    name: maps::QUOTA,
                    kind: "array",
                    holds: "ns from packet to packet, ns that one may be early",
                },
                MapUse {
                    name: maps::SOURCES,
                    kind: "lru_hash",
                    holds: "source to when its next packet is due, ns",
                },
            ],
            parameters: &["--quota RATE[/BURST]; weir filter quota changes it while it runs"],
        },
        FilterName::Blocklist => &CatalogueEntry {
            name: "blocklist",
            decides: "drops packets from blocked prefixes; alone or before another filter, as in blocklist+valid-command",
            maps: &[
                VERDICTS,
                MapUse {
                    name: maps::BLOCKLIST,
                    kind: "lpm_trie",
                    holds: "prefix to when it ends, ns; 0 for ever",
                },
            ],
            parameters: &["weir filter block|unblock|list, while it runs"],
        },
    }
}

impl FilterName {
    /// What the catalogue says of this filter.
    pub const fn entry(self) -> &'static CatalogueEntry {
        entry(self)
    }
}
