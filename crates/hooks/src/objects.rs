//! The compiled BPF objects, inside this library, and the programs in them.

use aya::include_bytes_aligned;
use weir_filters::{Binding, Filter, FilterName};

/// The ELF object that holds the filter's program, and the program's name in it.
pub(crate) fn aya(filter: Filter) -> (&'static [u8], &'static str) {
    macro_rules! object {
        ($name:literal) => {
            include_bytes_aligned!(concat!(env!("OUT_DIR"), "/", $name))
        };
    }
    match filter.name {
        FilterName::Simple => (object!("simple-socket-filter"), "simple"),
        FilterName::Reject => (object!("reject-filter"), "reject"),
        FilterName::ValidCommand => (object!("valid-command"), "valid_command"),
        FilterName::RobustValidCommand => (object!("robust-valid-command"), "robust_command"),
        FilterName::Parameterized => (
            object!("parameterized-filter"),
            match filter.binding {
                Binding::Map => "parameter_map",
                Binding::Constant => "parameter_const",
            },
        ),
        FilterName::Print => (object!("print-filter"), "print"),
        FilterName::Count => (object!("count-filter"), "count_packets"),
    }
}
