//! The behaviours: one table of what each sends.

use std::{fmt, str::FromStr};

use super::{
    deal::Load,
    mix::Mixed,
    payload::Payload,
    step::{Awaited, Step},
    workload::Workload,
};
use crate::Mix;

/// One behaviour of the table.
#[derive(Debug)]
pub struct Behaviour {
    /// Its name on the command line and in samples.
    pub name: &'static str,
    /// Other names that it goes by.
    pub aliases: &'static [&'static str],
    /// What it sends, in a line.
    pub sends: &'static str,
    parts: &'static [Stretch],
}

/// A piece of a behaviour, before the workload gives it numbers.
#[derive(Debug)]
enum Stretch {
    Burst(Payload, u64),
    /// The pieces, one after the other.
    All(&'static [Stretch]),
    /// The workload's valid and invalid packets, in this order unless the workload has one of its own.
    Mixed(Mix),
    /// The workload, evenly interleaved, timed GETs among it, from several sockets.
    Load,
    Get(u32, Awaited),
    /// A GET of the workload's key, with a reply if the workload has a PUT, which makes the key present.
    FinalGet,
    Stop,
}

const fn put(key: u32, value: i64) -> Stretch {
    Stretch::Burst(Payload::Put { key, value }, 1)
}

const fn delete(key: u32, count: u64) -> Stretch {
    Stretch::Burst(Payload::Delete { key }, count)
}

const PUT4: Stretch = Stretch::All(&[put(10, 2), put(10, 4), put(10, 6), put(10, -5)]);
const GET_10: Stretch = Stretch::Get(10, Awaited::Reply);
/// What an invalid packet of a workload is. The report's text says 19 bytes; its code sends 259.
const BAD_256: Payload = Payload::bad(256);

static TABLE: [Behaviour; 11] = [
    Behaviour {
        name: "thor",
        aliases: &[],
        sends: "4 PUTs to key 10, twice; STOP",
        parts: &[PUT4, PUT4, Stretch::Stop],
    },
    Behaviour {
        name: "odin",
        aliases: &[],
        sends: "4 PUTs and a GET of key 10, twice; STOP",
        parts: &[PUT4, GET_10, PUT4, GET_10, Stretch::Stop],
    },
    Behaviour {
        name: "loki",
        aliases: &[],
        sends: "4 PUTs, GET, 1 000 000 invalid ones of 1027 bytes, 4 PUTs, GET; STOP",
        parts: &[PUT4, GET_10, Stretch::Burst(Payload::bad(1024), 1_000_000), PUT4, GET_10, Stretch::Stop],
    },
    Behaviour {
        name: "njord",
        aliases: &[],
        sends: "PUTs, GETs and DELETEs of key 10, one invalid packet; STOP",
        parts: &[
            PUT4,
            GET_10,
            delete(10, 5),
            PUT4,
            GET_10,
            delete(10, 1),
            Stretch::Burst(Payload::Delelulu { key: 10 }, 1),
            Stretch::Stop,
        ],
    },
    Behaviour {
        name: "sylvie",
        aliases: &[],
        sends: "10 000 000 PUTs to key 10; STOP",
        parts: &[Stretch::Burst(Payload::Put { key: 10, value: 1 }, 10_000_000), Stretch::Stop],
    },
    Behaviour {
        name: "sif",
        aliases: &[],
        sends: "11 PUTs to 11 keys; GETs of present and absent keys; DELETE; STOP",
        parts: &[
            Stretch::Get(10, Awaited::Silence),
            Stretch::All(&[
                put(4660, 10),
                put(2, 10),
                put(4, 10),
                put(6, 10),
                put(8, 10),
                put(10, 10),
                put(12, 10),
                put(14, 10),
                put(16, 10),
                put(18, 10),
                put(20, 10),
            ]),
            GET_10,
            Stretch::Get(18, Awaited::Reply),
            Stretch::Get(20, Awaited::Reply),
            delete(10, 1),
            Stretch::Get(10, Awaited::Silence),
            Stretch::Stop,
        ],
    },
    Behaviour {
        name: "frey",
        aliases: &["frey2"],
        sends: "-n packets, the valid PUTs first, then the invalid ones; GET; STOP",
        parts: &[Stretch::Mixed(Mix::Blocks), Stretch::FinalGet, Stretch::Stop],
    },
    Behaviour {
        name: "frigg",
        aliases: &[],
        sends: "-n packets in rounds of 100, each PUTs first, then invalid ones; GET",
        parts: &[Stretch::Mixed(Mix::FRIGG), Stretch::FinalGet],
    },
    Behaviour {
        name: "load",
        aliases: &[],
        sends: "-n packets, or for --duration: valid and invalid ones mixed; GET",
        parts: &[Stretch::Load, Stretch::FinalGet],
    },
    Behaviour { name: "stop", aliases: &[], sends: "STOP", parts: &[Stretch::Stop] },
    Behaviour {
        name: "getstop",
        aliases: &[],
        sends: "GET of key 10, which may be absent; STOP",
        parts: &[Stretch::Get(10, Awaited::Either), Stretch::Stop],
    },
];

impl Behaviour {
    /// Every behaviour, in the table's order.
    pub fn all() -> &'static [Self] {
        &TABLE
    }

    /// Whether it can end by the clock, ask within its load, and send from several sockets and threads.
    pub fn is_load(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Stretch::Load))
    }

    /// The order of its valid and invalid packets, where they have one that a workload can change.
    pub fn mix(&self) -> Option<Mix> {
        self.parts.iter().find_map(|part| match part {
            Stretch::Mixed(mix) => Some(*mix),
            _ => None,
        })
    }

    /// Whether the workload says how many packets it sends, and what share of them is invalid.
    pub fn takes_numbers(&self) -> bool {
        self.is_load() || self.mix().is_some()
    }

    /// Whether it sends invalid packets that the workload may give another size.
    pub fn sends_bad(&self) -> bool {
        self.takes_numbers()
            || self.parts.iter().any(|part| matches!(part, Stretch::Burst(Payload::Bad { .. }, _)))
    }

    /// The steps of this behaviour for a workload. Steps that send nothing are left out.
    pub fn steps(&self, workload: &Workload) -> Vec<Step> {
        let mut steps = Vec::new();
        self.parts.iter().for_each(|part| expand(part, workload, &mut steps));
        steps
    }
}

fn expand(part: &Stretch, workload: &Workload, steps: &mut Vec<Step>) {
    let bad = workload.sized(BAD_256);
    match *part {
        Stretch::Burst(payload, count) => steps.push(Step::Burst { payload: workload.sized(payload), count }),
        Stretch::All(parts) => parts.iter().for_each(|part| expand(part, workload, steps)),
        Stretch::Mixed(_) | Stretch::Load if workload.packets == 0 => {}
        Stretch::Mixed(mix) => steps.push(Step::Mixed(Mixed {
            mix: workload.mix.unwrap_or(mix),
            valid: workload.valid(),
            invalid: workload.invalid(),
            bad,
        })),
        Stretch::Load => {
            let Workload { packets, duration, invalid_share, get_share, .. } = *workload;
            steps.push(Step::Load(Load { packets, duration, invalid_share, invalid: bad, get_share }));
        }
        Stretch::Get(key, awaited) => steps.push(Step::Get { key, awaited }),
        Stretch::FinalGet => {
            let awaited = if workload.puts() > 0 { Awaited::Reply } else { Awaited::Silence };
            steps.push(Step::Get { key: 10, awaited });
        }
        Stretch::Stop => steps.push(Step::Stop),
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl FromStr for &'static Behaviour {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        TABLE.iter().find(|row| row.name == name || row.aliases.contains(&name)).ok_or_else(|| {
            let known: Vec<_> = TABLE.iter().map(|row| row.name).collect();
            format!("unknown behaviour '{name}'; there are: {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests;
