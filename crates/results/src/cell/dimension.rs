//! The dimensions of the grid: what can be varied, and how it is called and written.

use weir_filters::names;
use weir_records::{Mix, Moderation};

use super::{Background, Cell, ReceiveWork};
use crate::topology::Topology;

/// Something that an experiment can vary, beside who filters where. Reports show them in the order of [`Self::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Share of invalid packets.
    InvalidPercent,
    /// Packets of a run.
    Packets,
    /// Payload of an invalid packet.
    InvalidSize,
    /// How valid and invalid packets follow each other.
    Mix,
    /// Offered rate.
    Rate,
    /// The server's receive buffer.
    ReceiveBuffer,
    /// Whether the server's reading is moderated.
    Moderation,
    /// What lies between client and server.
    Topology,
    /// On whose core the receiving is done.
    ReceiveWork,
    /// Who else keeps the cores busy.
    Background,
    /// Whether the processes are confined to their cores.
    Pinned,
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
    /// Its title, the unit of its numbers, and what [`Value::Usual`] means along it.
    const fn words(self) -> [&'static str; 3] {
        match self {
            Self::InvalidPercent => ["invalid", "%", "usual"],
            Self::Packets => ["packets", "", "usual"],
            Self::InvalidSize => ["invalid payload", "bytes", "the behaviour's"],
            Self::Mix => ["mix", "", "the behaviour's"],
            Self::Rate => ["offered rate", "packets/s", "as fast as can be"],
            Self::ReceiveBuffer => ["receive buffer", "bytes", "default"],
            Self::Moderation => ["moderation", "", "usual"],
            Self::Topology => ["topology", "", "usual"],
            Self::ReceiveWork => ["receive work on", "", "usual"],
            Self::Background => ["background load", "", "usual"],
            Self::Pinned => ["pinned", "", "as the experiment"],
        }
    }

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

    /// Where `cell` lies along it.
    pub fn of(self, cell: &Cell) -> Value {
        let number = |number: Option<u64>| number.map_or(Value::Usual, Value::Number);
        let conditions = &cell.conditions;
        match self {
            Self::InvalidPercent => Value::Number(cell.invalid_percent.into()),
            Self::Packets => Value::Number(cell.packets),
            Self::InvalidSize => number(cell.invalid_size.map(u64::from)),
            Self::Mix => conditions.mix.map_or(Value::Usual, Value::Mix),
            Self::Rate => number(conditions.rate),
            Self::ReceiveBuffer => number(conditions.receive_buffer.map(u64::from)),
            Self::Moderation => Value::Moderation(conditions.moderation),
            Self::Topology => Value::Name(conditions.topology.name()),
            Self::ReceiveWork => Value::Name(conditions.receive_work.name()),
            Self::Background => Value::Name(conditions.background.name()),
            Self::Pinned => conditions
                .pinned
                .map_or(Value::Usual, |pinned| Value::Name(if pinned { "pinned" } else { "not pinned" })),
        }
    }

    /// `cell` without its place along this dimension: cells that differ in nothing else become equal.
    pub fn forget(self, cell: &mut Cell) {
        let conditions = &mut cell.conditions;
        match self {
            Self::InvalidPercent => cell.invalid_percent = 0,
            Self::Packets => cell.packets = 0,
            Self::InvalidSize => cell.invalid_size = None,
            Self::Mix => conditions.mix = None,
            Self::Rate => conditions.rate = None,
            Self::ReceiveBuffer => conditions.receive_buffer = None,
            Self::Moderation => conditions.moderation = Moderation::default(),
            Self::Topology => conditions.topology = Topology::default(),
            Self::ReceiveWork => conditions.receive_work = ReceiveWork::default(),
            Self::Background => conditions.background = Background::default(),
            Self::Pinned => conditions.pinned = None,
        }
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
