//! How server and client are joined, by name.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use weir_filters::names;

/// How server and client are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// Both on the loopback interface of the namespace that we are in.
    #[default]
    Loopback,
    /// Each at its end of a veth pair, in a network namespace of its own.
    Veth,
}

names! {
    /// The word that command lines, definitions and samples use.
    Topology::name { Loopback = "loopback", Veth = "veth" }
}

/// Whether packets may cross the pair unsegmented, many datagrams (or much of a TCP stream) in one.
///
/// With it a UDP GSO send arrives as one super-packet, which only the socket cuts up: what runs below the socket
/// sees one packet for many. Without it every datagram is a packet of its own, as on a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Segmentation {
    /// Whole: the interfaces take super-packets (`tx-*-segmentation` on, as the kernel makes a pair).
    On,
    /// Cut up before they cross.
    #[default]
    Off,
}

names! {
    /// The word that command lines, definitions and samples use.
    Segmentation::name { On = "on", Off = "off" }
}

macro_rules! words {
    ($($name:ident: $what:literal),*) => {$(
        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|value| value.name() == word);
                found.ok_or_else(|| {
                    let words = Self::ALL.map(Self::name);
                    format!("there is no {} '{word}'; it is one of {}", $what, words.join(", "))
                })
            }
        }
    )*};
}

words!(Topology: "topology", Segmentation: "segmentation");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_others_are_refused() {
        for topology in Topology::ALL {
            assert_eq!(topology.to_string().parse(), Ok(topology));
            assert_eq!(serde_json::to_value(topology).unwrap(), topology.name());
        }
        for segmentation in Segmentation::ALL {
            assert_eq!(segmentation.to_string().parse(), Ok(segmentation));
            assert_eq!(serde_json::to_value(segmentation).unwrap(), segmentation.name());
        }
        assert_eq!(
            "bridge".parse::<Topology>().unwrap_err(),
            "there is no topology 'bridge'; it is one of loopback, veth"
        );
    }
}
