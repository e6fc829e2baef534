//! The dimensions of the grid: what can be varied, and how it is called and written.

use weir_records::{Mix, Moderation};

use super::{Background, Cell, ReceiveWork};
use crate::topology::Topology;

/// Something that an experiment can vary, beside who filters where.
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

impl Dimension {
    /// All of them, in the order in which a report shows them.
    pub const ALL: [Self; 11] = [
        Self::Topology,
        Self::ReceiveWork,
        Self::Background,
        Self::Pinned,
        Self::ReceiveBuffer,
        Self::Moderation,
        Self::InvalidSize,
        Self::Mix,
        Self::InvalidPercent,
        Self::Rate,
        Self::Packets,
    ];

    /// Its name in definitions, `summary.json` and CSV.
    pub const fn key(self) -> &'static str {
        match self {
            Self::InvalidPercent => "invalid_percent",
            Self::Packets => "packets",
            Self::InvalidSize => "invalid_size",
            Self::Mix => "mix",
            Self::Rate => "rate",
            Self::ReceiveBuffer => "receive_buffer",
            Self::Moderation => "moderation",
            Self::Topology => "topology",
            Self::ReceiveWork => "receive_work",
            Self::Background => "background",
            Self::Pinned => "pinned",
        }
    }

    /// The dimension that a definition calls `key`.
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.key() == key)
    }

    /// Its name, as the head of a column or the title of an axis.
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidPercent => "invalid",
            Self::Packets => "packets",
            Self::InvalidSize => "invalid payload",
            Self::Mix => "mix",
            Self::Rate => "offered rate",
            Self::ReceiveBuffer => "receive buffer",
            Self::Moderation => "moderation",
            Self::Topology => "topology",
            Self::ReceiveWork => "receive work on",
            Self::Background => "background load",
            Self::Pinned => "pinned",
        }
    }

    /// The unit of its numbers; empty for a bare count and for names.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::InvalidPercent => "%",
            Self::InvalidSize | Self::ReceiveBuffer => "bytes",
            Self::Rate => "packets/s",
            Self::Packets
            | Self::Mix
            | Self::Moderation
            | Self::Topology
            | Self::ReceiveWork
            | Self::Background
            | Self::Pinned => "",
        }
    }

    /// What [`Value::Usual`] means here.
    pub const fn usual(self) -> &'static str {
        match self {
            Self::Rate => "as fast as can be",
            Self::ReceiveBuffer => "default",
            Self::InvalidSize | Self::Mix => "the behaviour's",
            Self::Pinned => "as the experiment",
            _ => "usual",
        }
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
            Self::Topology => Value::Name(conditions.topology.as_str()),
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
            Value::Usual => self.usual().to_owned(),
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
