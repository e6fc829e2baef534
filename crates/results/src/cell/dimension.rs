//! The dimensions of the grid: what can be varied, what a cell keeps of it, and how it is called and written.

use serde::{Deserialize, Serialize};
use weir_filters::names;
use weir_records::{Mix, Moderation};

use super::Cell;
use crate::topology::Topology;

/// The conditions of a run; the default is what a run is made under where a definition says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// How valid and invalid packets follow each other; nothing for the behaviour's own order.
    #[serde(skip_serializing_if = "is_default")]
    pub mix: Option<Mix>,
    /// Packets per second that all clients together offer, in an open loop; nothing for as fast as they can.
    #[serde(skip_serializing_if = "is_default")]
    pub rate: Option<u64>,
    /// The server's receive buffer, bytes as asked for (the kernel doubles it); nothing for the kernel's default.
    #[serde(skip_serializing_if = "is_default")]
    pub receive_buffer: Option<u32>,
    /// Whether the server's reading is moderated: not in the originals, and so not unless an experiment says so.
    #[serde(skip_serializing_if = "is_default")]
    pub moderation: Moderation,
    /// What lies between client and server.
    #[serde(skip_serializing_if = "is_default")]
    pub topology: Topology,
    /// On whose core the kernel does the work of receiving.
    #[serde(skip_serializing_if = "is_default")]
    pub receive_work: ReceiveWork,
    /// Who else keeps the cores busy.
    #[serde(skip_serializing_if = "is_default")]
    pub background: Background,
    /// Whether server and clients are confined to their cores; nothing for what the whole experiment does.
    #[serde(skip_serializing_if = "is_default")]
    pub pinned: Option<bool>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A row is the dimension; where a cell keeps it; its title, the unit of its numbers, and what [`Value::Usual`] means along it;
/// and the value of what is kept there.
macro_rules! dimensions {
    ($($(#[$meaning:meta])* $dimension:ident: $($at:ident).+, $words:expr, |$kept:ident| $value:expr;)*) => {
        /// Something that an experiment can vary, beside who filters where. Reports show them in the order of [`Self::ALL`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Dimension {
            $($(#[$meaning])* $dimension,)*
        }

        impl Dimension {
            const fn words(self) -> [&'static str; 3] {
                match self {
                    $(Self::$dimension => $words,)*
                }
            }

            /// Where `cell` lies along it.
            pub fn of(self, cell: &Cell) -> Value {
                match self {
                    $(Self::$dimension => {
                        let $kept = cell.$($at).+;
                        $value
                    })*
                }
            }

            /// `cell` without its place along this dimension: cells that differ in nothing else become equal.
            pub fn forget(self, cell: &mut Cell) {
                match self {
                    $(Self::$dimension => cell.$($at).+ = Default::default(),)*
                }
            }
        }
    };
}

dimensions! {
    /// Share of invalid packets.
    InvalidPercent: invalid_percent, ["invalid", "%", "usual"], |percent| Value::Number(percent.into());
    /// Packets of a run.
    Packets: packets, ["packets", "", "usual"], |packets| Value::Number(packets);
    /// Payload of an invalid packet.
    InvalidSize: invalid_size, ["invalid payload", "bytes", "the behaviour's"], |size| number(size);
    /// How valid and invalid packets follow each other.
    Mix: conditions.mix, ["mix", "", "the behaviour's"], |mix| mix.map_or(Value::Usual, Value::Mix);
    /// Offered rate.
    Rate: conditions.rate, ["offered rate", "packets/s", "as fast as can be"], |rate| number(rate);
    /// The server's receive buffer.
    ReceiveBuffer: conditions.receive_buffer, ["receive buffer", "bytes", "default"], |bytes| number(bytes);
    /// Whether the server's reading is moderated.
    Moderation: conditions.moderation, ["moderation", "", "usual"], |how| Value::Moderation(how);
    /// What lies between client and server.
    Topology: conditions.topology, ["topology", "", "usual"], |topology| Value::Name(topology.name());
    /// On whose core the receiving is done.
    ReceiveWork: conditions.receive_work, ["receive work on", "", "usual"], |whose| Value::Name(whose.name());
    /// Who else keeps the cores busy.
    Background: conditions.background, ["background load", "", "usual"], |who| Value::Name(who.name());
    /// Whether the processes are confined to their cores.
    Pinned: conditions.pinned, ["pinned", "", "as the experiment"], |pinned| match pinned {
        None => Value::Usual,
        Some(true) => Value::Name("pinned"),
        Some(false) => Value::Name("not pinned"),
    };
}

fn number(number: Option<impl Into<u64>>) -> Value {
    number.map_or(Value::Usual, |number| Value::Number(number.into()))
}

names! {
    /// Its name in definitions, `summary.json` and CSV.
    Dimension::key {
        Topology = "topology",
        ReceiveWork = "receive_work",
        Background = "background",
        Pinned = "pinned",
        ReceiveBuffer = "receive_buffer",
        Moderation = "moderation",
        InvalidSize = "invalid_size",
        Mix = "mix",
        InvalidPercent = "invalid_percent",
        Rate = "rate",
        Packets = "packets"
    }
}

impl Dimension {
    /// The dimension that a definition calls `key`.
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.key() == key)
    }

    /// Its name, as the head of a column or the title of an axis.
    pub const fn title(self) -> &'static str {
        self.words()[0]
    }

    /// The unit of its numbers; empty for a bare count and for names.
    pub const fn unit(self) -> &'static str {
        self.words()[1]
    }

    /// `value` as text, with its unit.
    pub fn text(self, value: Value) -> String {
        match value {
            Value::Usual => self.words()[2].to_owned(),
            Value::Name(name) => name.to_owned(),
            Value::Mix(Mix::Rounds(packets)) => format!("rounds of {packets}"),
            Value::Mix(mix) => mix.to_string(),
            Value::Moderation(longest @ Moderation::AtMost(_)) => format!("naps of at most {longest} µs"),
            Value::Moderation(moderation) => moderation.to_string(),
            Value::Number(number) if self.unit().is_empty() => number.to_string(),
            Value::Number(number) => format!("{number} {}", self.unit()),
        }
    }
}

/// Where a cell lies along a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Where the definition says nothing.
    Usual,
    /// A number in the dimension's unit.
    Number(u64),
    /// One of several names.
    Name(&'static str),
    /// An order of packets.
    Mix(Mix),
    /// A way of reading, from the one that never naps on.
    Moderation(Moderation),
}

impl Value {
    /// As definitions write it; empty where they say nothing.
    pub fn plain(self) -> String {
        match self {
            Self::Usual => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name.to_owned(),
            Self::Mix(mix) => mix.to_string(),
            Self::Moderation(moderation) => moderation.to_string(),
        }
    }
}

/// On whose core the kernel does the work of receiving: IP, UDP, a filter at the socket, and queueing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiveWork {
    /// The sender's, where loopback and veth leave it.
    #[default]
    Sender,
    /// The server's, steered there (RPS, Documentation/networking/scaling.rst).
    Server,
}

/// Who else keeps the cores busy during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Background {
    /// Nobody that this experiment started.
    #[default]
    Idle,
    /// A busy process on the server's core.
    Server,
    /// A busy process on the clients' core.
    Client,
    /// A busy process on each.
    Both,
}

names! {
    /// Its name in text, definitions and samples.
    ReceiveWork::name { Sender = "sender", Server = "server" }
}

names! {
    /// Its name in text, definitions and samples.
    Background::name { Idle = "idle", Server = "server", Client = "client", Both = "both" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_is_found_by_its_key() {
        for dimension in Dimension::ALL {
            assert_eq!(Dimension::named(dimension.key()), Some(dimension));
        }
    }
}
