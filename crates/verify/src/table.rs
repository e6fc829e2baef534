//! What a comparison found, as a table and as JSON.

use std::{fmt::Write as _, io::IsTerminal as _, time::Duration};

use serde::Serialize;
use weir_filters::Combination;
use weir_output::terminal;

use crate::{
    Disagreement, MeasuredPace, Plan, Speed, per_second,
    plan::Way,
    program::{AskedProgram, Refusal},
};

/// What came of a combination, over its parameters and the servers that it was loaded for.
#[derive(Clone, Debug)]
pub struct ComparedCombination {
    /// The combination.
    pub combination: Combination,
    /// Packets that it decided.
    pub packets: u64,
    /// Packets that it couldn't be given.
    pub not_runnable: u64,
    /// Packets that it decided otherwise than the reference.
    pub disagreements: u64,
    /// Time of making packets (its share), deciding them and comparing.
    pub spent: Duration,
    /// The first disagreement of each program.
    pub shown: Vec<Disagreement>,
    /// The programs that aren't there.
    pub refusals: Vec<Refusal>,
}

impl ComparedCombination {
    /// Of no program.
    pub(super) fn of(combination: Combination) -> Self {
        Self {
            combination,
            packets: 0,
            not_runnable: 0,
            disagreements: 0,
            spent: Duration::ZERO,
            shown: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Whether every program was there and agreed with the reference.
    pub fn agrees(&self) -> bool {
        self.disagreements == 0 && self.refusals.is_empty()
    }

    /// Adds another program of the combination.
    pub(super) fn add(&mut self, program: AskedProgram) {
        self.packets += program.tally.decided;
        self.not_runnable += program.tally.not_runnable;
        self.disagreements += program.tally.disagreements;
        self.spent += program.tally.spent;
        self.shown.extend(program.first);
    }

    /// The combination in words.
    pub fn name(&self) -> String {
        let Combination { filter, toolkit, hook } = self.combination;
        format!("{filter} with {toolkit} at {hook}")
    }

    fn packets_per_second(&self) -> f64 {
        per_second(self.packets + self.not_runnable, self.spent)
    }
}

const COLUMNS: [&str; 7] =
    ["filter", "toolkit", "hook", "packets", "disagreements", "not runnable here", "packets/s"];

/// The table, what isn't in it and why, and each disagreement.
pub fn text(plan: &Plan, rows: &[ComparedCombination]) -> String {
    let mut table = terminal::table(!std::io::stdout().is_terminal());
    table.set_header(COLUMNS);
    for row in rows {
        let Combination { filter, toolkit, hook } = row.combination;
        table.add_row([
            filter.to_string(),
            toolkit.to_string(),
            hook.to_string(),
            row.packets.to_string(),
            if row.refusals.is_empty() { row.disagreements.to_string() } else { "refused".to_owned() },
            row.not_runnable.to_string(),
            format!("{:.0}", row.packets_per_second()),
        ]);
    }
    let mut text = format!("{table}\n");
    if rows.iter().any(|row| row.not_runnable > 0) {
        text += "not runnable here: frames that BPF_PROG_TEST_RUN refuses as too short or too long\n";
    }
    if rows.iter().any(|row| Way::of(row.combination) == Way::Sockets) {
        text += "at reuseport, and with cbpf: whole datagrams sent over loopback, IPv4 and IPv6, and what arrived\n";
    }
    for (reason, places) in &plan.gaps {
        let _ = writeln!(text, "not compared: {}: {reason}", places.join(", "));
    }
    for disagreement in rows.iter().flat_map(|row| &row.shown) {
        let _ = writeln!(text, "\n{disagreement}");
    }
    for Refusal { combination, filter, reason } in rows.iter().flat_map(|row| &row.refusals) {
        let Combination { toolkit, hook, .. } = combination;
        let _ = writeln!(text, "\nrefused: {filter} with {toolkit} at {hook}: {reason}");
    }
    let [programs, packets, disagreements] = totals(rows);
    let refused = rows.iter().map(|row| row.refusals.len() as u64).sum();
    let counted = |count, what| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let _ = writeln!(
        text,
        "\n{}, {}, {}{}",
        counted(programs, "combination"),
        counted(packets, "packet"),
        counted(disagreements, "disagreement"),
        if refused == 0 { String::new() } else { format!(", {} refused", counted(refused, "program")) }
    );
    text
}

fn totals(rows: &[ComparedCombination]) -> [u64; 3] {
    let sum = |of: fn(&ComparedCombination) -> u64| rows.iter().map(of).sum();
    [rows.len() as u64, sum(|row| row.packets), sum(|row| row.disagreements)]
}

#[derive(Serialize)]
struct VerifyDocument<'a> {
    seed: u64,
    packets: u64,
    disagreements: u64,
    rows: Vec<JsonRow<'a>>,
    not_compared: Vec<NotCompared<'a>>,
}

#[derive(Serialize)]
struct JsonRow<'a> {
    #[serde(flatten)]
    combination: Combination,
    packets: u64,
    not_runnable: u64,
    disagreements: u64,
    packets_per_second: f64,
    shown: &'a [Disagreement],
    refusals: &'a [Refusal],
}

#[derive(Serialize)]
struct NotCompared<'a> {
    reason: &'a str,
    places: &'a [String],
}

/// The same as one JSON document.
///
/// # Errors
/// Making JSON fails.
pub fn json(plan: &Plan, rows: &[ComparedCombination], seed: u64) -> anyhow::Result<String> {
    let [_, packets, disagreements] = totals(rows);
    let not_compared = plan.gaps.iter().map(|(reason, places)| NotCompared { reason, places }).collect();
    let row = |row| {
        let ComparedCombination {
            combination, packets, not_runnable, disagreements, shown, refusals, ..
        }: &ComparedCombination = row;
        JsonRow {
            combination: *combination,
            packets: *packets,
            not_runnable: *not_runnable,
            disagreements: *disagreements,
            packets_per_second: row.packets_per_second(),
            shown,
            refusals,
        }
    };
    let rows = rows.iter().map(row).collect();
    let document = VerifyDocument { seed, packets, disagreements, rows, not_compared };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The speed of each comparison beside the bare loop's.
pub fn speeds(speeds: &[Speed]) -> String {
    let mut table = terminal::table(!std::io::stdout().is_terminal());
    table.set_header(["filter", "toolkit", "hook", "bare loop, calls/s", "verify, packets/s", "ratio"]);
    let mut refused = String::new();
    for Speed { combination: Combination { filter, toolkit, hook }, pace } in speeds {
        let cells = match pace {
            MeasuredPace::Measured { bare, verify } => {
                [format!("{bare:.0}"), format!("{verify:.0}"), format!("{:.2}", verify / bare)]
            }
            MeasuredPace::Refused { reason } => {
                let _ = writeln!(refused, "\nrefused: {filter} with {toolkit} at {hook}: {reason}");
                ["refused".to_owned(), String::new(), String::new()]
            }
        };
        let names = [filter.to_string(), toolkit.to_string(), hook.to_string()];
        table.add_row(names.into_iter().chain(cells));
    }
    format!("{table}\n{refused}")
}
