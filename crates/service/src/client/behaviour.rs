//! The behaviours: one table of what each sends.

use std::{fmt, str::FromStr};

use super::{
    mix::Mix,
    step::{Payload, Step},
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
        sends: "4 PUTs, GET, 1 000 000 invalid packets of 1027 bytes, 4 PUTs, GET; STOP",
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
        sends: "-n packets in 100 rounds, each its PUTs first, then its invalid ones; GET",
        parts: &[Part::Rounds(100, &[VALID, INVALID]), Part::Get(10, Expect::ReplyIfPut)],
    },
    Behaviour {
        name: "load",
        aliases: &[],
        sends: "-n packets, or for --duration: valid and invalid ones evenly interleaved, --gets of the valid; GET",
        parts: &[Part::Load(BAD_256), Part::Get(10, Expect::ReplyIfPut)],
    },
    Behaviour { name: "stop", aliases: &[], sends: "STOP", parts: &[Part::Stop] },
    Behaviour { name: "getstop", aliases: &[], sends: "GET of key 10; STOP", parts: &[GET_10, Part::Stop] },
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

    /// The steps of this behaviour for a workload. Bursts of nothing are left out.
    pub fn steps(&self, workload: &Workload) -> Vec<Step> {
        let mut steps = Vec::new();
        expand(self.parts, workload, Round { index: 0, of: 1 }, &mut steps);
        steps
    }
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
                reply_expected: match expect {
                    Expect::Reply => true,
                    Expect::Silence => false,
                    Expect::ReplyIfPut => workload.puts() > 0,
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::client::{InvalidSize, Percent};

    fn workload(packets: u64, percent: u8) -> Workload {
        Workload { packets, invalid_share: Percent::new(percent).unwrap(), ..Workload::default() }
    }

    fn steps(name: &str, workload: &Workload) -> Vec<Step> {
        name.parse::<&Behaviour>().unwrap().steps(workload)
    }

    fn put(key: u32, value: i64, count: u64) -> Step {
        Step::Burst { payload: Payload::Put { key, value }, count }
    }

    fn bad(n: usize, count: u64) -> Step {
        Step::Burst { payload: Payload::bad(n), count }
    }

    fn delete_10(count: u64) -> Step {
        Step::Burst { payload: Payload::Delete { key: 10 }, count }
    }

    fn get(key: u32, reply_expected: bool) -> Step {
        Step::Get { key, reply_expected }
    }

    fn put4() -> Vec<Step> {
        [2, 4, 6, -5].map(|value| put(10, value, 1)).to_vec()
    }

    /// Compares the steps of a behaviour that takes no numbers.
    fn check(name: &str, expected: &[&[Step]]) {
        assert_eq!(steps(name, &workload(100_000, 50)), expected.concat(), "{name}");
    }

    #[test]
    fn behaviours_without_numbers_send_what_the_table_of_the_report_says() {
        let get_10 = &[get(10, true)][..];
        let stop = &[Step::Stop][..];
        let put4 = &put4()[..];
        let lulu = Step::Burst { payload: Payload::Delelulu { key: 10 }, count: 1 };
        check("thor", &[put4, put4, stop]);
        check("odin", &[put4, get_10, put4, get_10, stop]);
        check("loki", &[put4, get_10, &[bad(1024, 1_000_000)], put4, get_10, stop]);
        check("njord", &[put4, get_10, &[delete_10(5)], put4, get_10, &[delete_10(1), lulu], stop]);
        check("sylvie", &[&[put(10, 1, 10_000_000)], stop]);
        check("stop", &[stop]);
        check("getstop", &[get_10, stop]);
        let keys = [4660, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20].map(|key| put(key, 10, 1));
        let present = [get(10, true), get(18, true), get(20, true)];
        check("sif", &[&[get(10, false)], &keys, &present, &[delete_10(1), get(10, false)], stop]);
    }

    #[test]
    fn frey_sends_the_valid_packets_first() {
        let expected = [put(10, 1, 70), bad(256, 30), get(10, true), Step::Stop];
        assert_eq!(steps("frey", &workload(100, 30)), expected);
        assert_eq!(steps("frey2", &workload(100, 30)), expected);
    }

    #[test]
    fn frigg_alternates_and_does_not_stop() {
        let steps = steps("frigg", &workload(1000, 20));
        let (last, rounds) = steps.split_last().unwrap();
        assert_eq!(rounds, [put(10, 1, 8), bad(256, 2)].repeat(100));
        assert_eq!(*last, get(10, true));
    }

    #[test]
    fn load_interleaves_and_asks_at_the_end() {
        let mix = Mix {
            packets: 100,
            duration: None,
            invalid_share: Percent::new(30).unwrap(),
            invalid: Payload::bad(256),
            get_share: Percent::default(),
        };
        assert_eq!(steps("load", &workload(100, 30)), [Step::Load(mix), get(10, true)]);
        let only_gets = Workload { get_share: Percent::new(100).unwrap(), ..workload(100, 30) };
        assert_eq!(steps("load", &only_gets)[1], get(10, false));
        assert_eq!(steps("load", &workload(0, 0)), [get(10, false)]);
    }

    #[test]
    fn an_invalid_size_changes_bad_packets_and_no_others() {
        let sized = Workload { invalid_size: InvalidSize::new(15), ..workload(10, 50) };
        let bad_15 = Step::Burst { payload: Payload::Bad { len: 15 }, count: 5 };
        assert_eq!(steps("frey", &sized), [put(10, 1, 5), bad_15, get(10, true), Step::Stop]);
        assert_eq!(steps("njord", &sized), steps("njord", &workload(0, 0)));
    }

    #[test]
    fn names_and_aliases_find_their_row_and_are_unique() {
        let names: Vec<_> =
            Behaviour::all().iter().flat_map(|row| row.aliases.iter().copied().chain([row.name])).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name}");
            let row: &Behaviour = name.parse().unwrap();
            assert!(row.name == *name || row.aliases.contains(name));
        }
    }

    #[test]
    fn an_unknown_behaviour_lists_those_there_are() {
        let error = "freya".parse::<&'static Behaviour>().unwrap_err();
        assert_eq!(
            error,
            "unknown behaviour 'freya'; there are: thor, odin, loki, njord, sylvie, sif, frey, frigg, load, stop, getstop"
        );
    }

    /// Packets of the steps: valid, invalid.
    fn totals(steps: &[Step]) -> (u128, u128) {
        steps.iter().fold((0, 0), |(valid, invalid), step| match *step {
            Step::Burst { payload: Payload::Put { .. }, count } => (valid + u128::from(count), invalid),
            Step::Burst { count, .. } => (valid, invalid + u128::from(count)),
            _ => (valid, invalid),
        })
    }

    /// Small numbers, where rounds are uneven, and the largest there are.
    fn packets() -> impl Strategy<Value = u64> {
        prop_oneof![0..1000_u64, any::<u64>(), u64::MAX - 1000..=u64::MAX]
    }

    proptest! {
        #[test]
        fn frey_and_frigg_send_exactly_what_is_asked_for(n in packets(), p in 0..=100_u8) {
            let invalid = u128::from(n) * u128::from(p) / 100;
            let valid = u128::from(n) - invalid;
            for name in ["frey", "frigg"] {
                let steps = steps(name, &workload(n, p));
                prop_assert_eq!(totals(&steps), (valid, invalid), "{}", name);
                prop_assert!(steps.len() <= 201);
                prop_assert!(steps.iter().all(|step| step.packets() > 0));
                prop_assert!(steps.contains(&get(10, valid > 0)));
            }
        }

        #[test]
        fn rounds_of_frigg_differ_by_at_most_one_packet_of_a_kind(n in 10_000..1_000_000_u64, p in 1..=99_u8) {
            let steps = steps("frigg", &workload(n, p));
            prop_assert_eq!(steps.len(), 201);
            for (first, kind) in [Payload::Put { key: 10, value: 1 }, Payload::bad(256)].into_iter().enumerate() {
                let counts: Vec<_> = steps[..200].iter().skip(first).step_by(2).map(|step| match *step {
                    Step::Burst { payload, count } if payload == kind => count,
                    _ => panic!("{step:?} where {kind:?} is due"),
                }).collect();
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            }
        }
    }
}
