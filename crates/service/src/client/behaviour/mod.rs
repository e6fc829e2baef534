//! The behaviours: one table of what each sends.

use std::{fmt, str::FromStr};

use super::{
    mix::Mix,
    step::{Awaited, Payload, Step},
    workload::Workload,
};

/// One behaviour of the table.
#[derive(Debug)]
pub struct Behaviour {
    /// Its name on the command line and in samples.
    pub name: &'static str,
    /// Other names that it goes by.
    pub aliases: &'static [&'static str],
    /// What it sends, in a line.
    pub sends: &'static str,
    parts: &'static [Part],
}

/// A piece of a behaviour, before the workload gives it numbers.
#[derive(Debug)]
enum Part {
    Burst(Payload, Count),
    /// The workload, evenly interleaved, with these invalid packets.
    Load(Payload),
    Get(u32, Expect),
    /// The pieces, that many times, each burst's count spread over the rounds.
    Rounds(u64, &'static [Part]),
    Stop,
}

#[derive(Clone, Copy, Debug)]
enum Count {
    Exactly(u64),
    /// The workload's valid packets.
    Valid,
    /// The workload's invalid packets.
    Invalid,
}

/// Whether a GET needs a reply.
#[derive(Clone, Copy, Debug)]
enum Expect {
    Reply,
    Silence,
    /// A reply if the workload has a PUT, which makes the key present.
    ReplyIfPut,
    /// What there is: other clients decide whether the key is present.
    Either,
}

const fn put(key: u32, value: i64) -> Part {
    Part::Burst(Payload::Put { key, value }, Count::Exactly(1))
}

const fn delete(key: u32, count: u64) -> Part {
    Part::Burst(Payload::Delete { key }, Count::Exactly(count))
}

const PUT4: Part = Part::Rounds(1, &[put(10, 2), put(10, 4), put(10, 6), put(10, -5)]);
const GET_10: Part = Part::Get(10, Expect::Reply);
const VALID: Part = Part::Burst(Mix::VALID, Count::Valid);
const BAD_256: Payload = Payload::bad(256);
const INVALID: Part = Part::Burst(BAD_256, Count::Invalid);

static TABLE: [Behaviour; 11] = [
    Behaviour {
        name: "thor",
        aliases: &[],
        sends: "4 PUTs to key 10, twice; STOP",
        parts: &[PUT4, PUT4, Part::Stop],
    },
    Behaviour {
        name: "odin",
        aliases: &[],
        sends: "4 PUTs and a GET of key 10, twice; STOP",
        parts: &[PUT4, GET_10, PUT4, GET_10, Part::Stop],
    },
    Behaviour {
        name: "loki",
        aliases: &[],
        sends: "4 PUTs, GET, 1 000 000 invalid ones of 1027 bytes, 4 PUTs, GET; STOP",
        parts: &[
            PUT4,
            GET_10,
            Part::Burst(Payload::bad(1024), Count::Exactly(1_000_000)),
            PUT4,
            GET_10,
            Part::Stop,
        ],
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
            Part::Burst(Payload::Delelulu { key: 10 }, Count::Exactly(1)),
            Part::Stop,
        ],
    },
    Behaviour {
        name: "sylvie",
        aliases: &[],
        sends: "10 000 000 PUTs to key 10; STOP",
        parts: &[Part::Burst(Payload::Put { key: 10, value: 1 }, Count::Exactly(10_000_000)), Part::Stop],
    },
    Behaviour {
        name: "sif",
        aliases: &[],
        sends: "11 PUTs to 11 keys; GETs of present and absent keys; DELETE; STOP",
        parts: &[
            Part::Get(10, Expect::Silence),
            Part::Rounds(
                1,
                &[
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
                ],
            ),
            GET_10,
            Part::Get(18, Expect::Reply),
            Part::Get(20, Expect::Reply),
            delete(10, 1),
            Part::Get(10, Expect::Silence),
            Part::Stop,
        ],
    },
    Behaviour {
        name: "frey",
        aliases: &["frey2"],
        sends: "-n packets, the valid PUTs first, then the invalid ones; GET; STOP",
        parts: &[VALID, INVALID, Part::Get(10, Expect::ReplyIfPut), Part::Stop],
    },
    Behaviour {
        name: "frigg",
        aliases: &[],
        sends: "-n packets in 100 rounds, each PUTs first, then invalid ones; GET",
        parts: &[Part::Rounds(100, &[VALID, INVALID]), Part::Get(10, Expect::ReplyIfPut)],
    },
    Behaviour {
        name: "load",
        aliases: &[],
        sends: "-n packets, or for --duration: valid and invalid ones mixed; GET",
        parts: &[Part::Load(BAD_256), Part::Get(10, Expect::ReplyIfPut)],
    },
    Behaviour { name: "stop", aliases: &[], sends: "STOP", parts: &[Part::Stop] },
    Behaviour {
        name: "getstop",
        aliases: &[],
        sends: "GET of key 10, which may be absent; STOP",
        parts: &[Part::Get(10, Expect::Either), Part::Stop],
    },
];

impl Behaviour {
    /// Every behaviour, in the table's order.
    pub fn all() -> &'static [Self] {
        &TABLE
    }

    /// Whether it can end by the clock, ask within its load, and send from several sockets and threads.
    pub fn is_load(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Load(_)))
    }

    /// Whether the workload says how many packets it sends, and what share of them is invalid.
    pub fn takes_numbers(&self) -> bool {
        has_part(self.parts, &|part| {
            matches!(part, Part::Load(_) | Part::Burst(_, Count::Valid | Count::Invalid))
        })
    }

    /// Whether it sends invalid packets that the workload may give another size.
    pub fn sends_bad(&self) -> bool {
        has_part(self.parts, &|part| {
            matches!(part, Part::Load(Payload::Bad { .. }) | Part::Burst(Payload::Bad { .. }, _))
        })
    }

    /// The steps of this behaviour for a workload. Bursts of nothing are left out.
    pub fn steps(&self, workload: &Workload) -> Vec<Step> {
        let mut steps = Vec::new();
        expand(self.parts, workload, Round { index: 0, of: 1 }, &mut steps);
        steps
    }
}

/// Whether it goes for any piece, those of rounds included.
fn has_part(parts: &[Part], goes: &dyn Fn(&Part) -> bool) -> bool {
    parts.iter().any(|part| match part {
        Part::Rounds(_, parts) => has_part(parts, goes),
        part => goes(part),
    })
}

#[derive(Clone, Copy)]
struct Round {
    index: u64,
    of: u64,
}

impl Round {
    /// This round's share of `total`: the shares of all rounds add up to it, and no two differ by more than one.
    fn share(self, total: u64) -> u64 {
        let up_to = |rounds: u64| (u128::from(total) * u128::from(rounds) / u128::from(self.of)) as u64;
        up_to(self.index + 1) - up_to(self.index)
    }
}

fn expand(parts: &[Part], workload: &Workload, round: Round, steps: &mut Vec<Step>) {
    for part in parts {
        match *part {
            Part::Burst(payload, count) => {
                let count = round.share(match count {
                    Count::Exactly(count) => count,
                    Count::Valid => workload.valid(),
                    Count::Invalid => workload.invalid(),
                });
                if count > 0 {
                    steps.push(Step::Burst { payload: workload.sized(payload), count });
                }
            }
            Part::Load(invalid) => {
                if workload.packets > 0 {
                    steps.push(Step::Load(Mix::of(workload, invalid)));
                }
            }
            Part::Get(key, expect) => steps.push(Step::Get {
                key,
                awaited: match expect {
                    Expect::ReplyIfPut if workload.puts() > 0 => Awaited::Reply,
                    Expect::Reply => Awaited::Reply,
                    Expect::Silence | Expect::ReplyIfPut => Awaited::Silence,
                    Expect::Either => Awaited::Either,
                },
            }),
            Part::Rounds(rounds, parts) => {
                for index in 0..rounds {
                    expand(parts, workload, Round { index, of: rounds }, steps);
                }
            }
            Part::Stop => steps.push(Step::Stop),
        }
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
