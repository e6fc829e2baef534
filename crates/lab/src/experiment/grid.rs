//! The grid: what a definition varies, a row each, and what a profile changes of it.

use std::{collections::HashSet, fmt::Display, hash::Hash};

use serde::{Deserialize, Serialize};
use weir_results::{
    cell::{Background, Conditions, ReceiveWork},
    topology::Topology,
};
use weir_service::{Mix, Moderation};

/// A point of the grid.
#[derive(Clone, Copy, Default)]
pub(super) struct GridPoint {
    pub(super) invalid_percent: u8,
    pub(super) packets: u64,
    pub(super) invalid_size: Option<u32>,
    pub(super) conditions: Conditions,
}

/// A row is the key in definitions, the type of its values, what they must be, and what puts one into a point.
macro_rules! grid {
    ($($(#[$meaning:meta])* $name:ident: $value:ty, $check:expr, $set:expr;)*) => {
        /// What is varied: every combination is a cell for every placement.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Grid {
            $($(#[$meaning])* #[serde(default, skip_serializing_if = "Vec::is_empty")] pub $name: Vec<$value>,)*
        }

        /// What a profile changes.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Overrides {
            /// Runs of each cell.
            pub runs: Option<u32>,
            /// How long the clients send at each rate, seconds.
            pub duration_s: Option<u64>,
            /// Ids of the placements used.
            pub placements: Option<Vec<String>>,
            $($(#[$meaning])* pub $name: Option<Vec<$value>>,)*
        }

        impl Grid {
            /// What is varied instead.
            pub(super) fn changed(&self, overrides: &Overrides) -> Self {
                Self { $($name: overrides.$name.as_ref().unwrap_or(&self.$name).clone(),)* }
            }

            /// Every combination.
            pub(super) fn points(&self) -> Vec<GridPoint> {
                let points = vec![GridPoint::default()];
                $(let points = along(points, &self.$name, $set);)*
                points
            }

            /// No dimension has a value twice, or one that measures nothing; `at` is where the grid was written.
            pub(super) fn check(&self, at: &str) -> Result<(), String> {
                $($check(&format!("{at}{}", stringify!($name)), &self.$name)?;)*
                Ok(())
            }
        }
    };
}

grid! {
    /// Shares of invalid packets, percent.
    invalid_percent: u8, check_distinct, |point, percent| point.invalid_percent = percent;
    /// Packets of all clients together; empty where rates and a duration give them.
    packets: u64, check_positive, |point, packets| point.packets = packets;
    /// Payloads of invalid packets, bytes; empty for the behaviour's own.
    invalid_size: u32, check_distinct, |point, size| point.invalid_size = Some(size);
    /// How valid and invalid packets follow each other; empty for the behaviour's own order.
    mix: Mix, check_distinct, |point, mix| point.conditions.mix = Some(mix);
    /// Packets per second that all clients together offer; empty for as fast as they can.
    rate: u64, check_positive, |point, rate| point.conditions.rate = Some(rate);
    /// Receive buffers of the server, bytes as asked for; empty for the kernel's default.
    receive_buffer: u32, check_positive, |point, bytes| point.conditions.receive_buffer = Some(bytes);
    /// How weir's own servers moderate their reading; empty for not at all.
    moderation: Moderation, check_distinct, |point, how| point.conditions.moderation = how;
    /// What lies between client and server; empty for loopback.
    topology: Topology, check_distinct, |point, topology| point.conditions.topology = topology;
    /// On whose core the kernel does the work of receiving; empty for the sender's.
    receive_work: ReceiveWork, check_distinct, |point, whose| point.conditions.receive_work = whose;
    /// Who else keeps the cores busy; empty for nobody.
    background: Background, check_distinct, |point, who| point.conditions.background = who;
    /// Whether server and clients are confined to their cores; empty for what the whole experiment does.
    pinned: bool, check_distinct, |point, pinned| point.conditions.pinned = Some(pinned);
}

/// Each of `points` once for every one of `values`; as it is where there is none.
fn along<T: Copy>(points: Vec<GridPoint>, values: &[T], set: impl Fn(&mut GridPoint, T)) -> Vec<GridPoint> {
    if values.is_empty() {
        return points;
    }
    let at = |mut point: GridPoint, value| {
        set(&mut point, value);
        point
    };
    points
        .into_iter()
        .flat_map(|point| values.iter().map(|&value| at(point, value)).collect::<Vec<_>>())
        .collect()
}

fn check_positive<T: Copy + Eq + Hash + Display + Into<u64>>(what: &str, list: &[T]) -> Result<(), String> {
    check_distinct(what, list)?;
    if list.iter().any(|&value| value.into() == 0) {
        Err(format!("{what}: 0 measures nothing"))
    } else {
        Ok(())
    }
}

pub(crate) fn check_not_empty<T>(what: &str, list: &[T]) -> Result<(), String> {
    if list.is_empty() { Err(format!("{what} is empty: name at least one")) } else { Ok(()) }
}

pub(crate) fn check_distinct<T: Eq + Hash + Display>(what: &str, list: &[T]) -> Result<(), String> {
    let mut seen = HashSet::new();
    match list.iter().find(|item| !seen.insert(*item)) {
        Some(item) => Err(format!("{what}: {item} stands there twice")),
        None => Ok(()),
    }
}
