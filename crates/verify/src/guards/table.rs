//! What a comparison of guards found, as a table and as JSON.

use std::{fmt::Write as _, io::IsTerminal as _};

use serde::Serialize;
use weir_filters::Hook;
use weir_output::terminal;

use super::{Absent, ComparedGuard, GuardDisagreement};
use crate::per_second;

const COLUMNS: [&str; 7] =
    ["service", "hook", "packets", "made from the rules", "disagreements", "not runnable here", "packets/s"];

impl ComparedGuard {
    fn packets_per_second(&self) -> f64 {
        per_second(self.packets + self.not_runnable, self.spent)
    }
}

/// The table, what isn't in it and why, and each disagreement.
pub fn text(rows: &[ComparedGuard]) -> String {
    let mut table = terminal::table(!std::io::stdout().is_terminal());
    table.set_header(COLUMNS);
    for row in rows {
        table.add_row([
            terminal::printable(&row.service),
            row.hook.to_string(),
            row.packets.to_string(),
            row.made.to_string(),
            match row.absent {
                None => row.disagreements.to_string(),
                Some(Absent::Refused(_)) => "refused".to_owned(),
                Some(Absent::NotMade(_)) => "no program".to_owned(),
            },
            row.not_runnable.to_string(),
            format!("{:.0}", row.packets_per_second()),
        ]);
    }
    let mut text = format!("{table}\n");
    if rows.iter().any(|row| row.not_runnable > 0) {
        text += "not runnable here: frames that BPF_PROG_TEST_RUN refuses as too long\n";
    }
    for row in rows {
        let ComparedGuard { service, hook, .. } = row;
        if let Some(what) = row.left_out {
            let _ = writeln!(text, "{service} at {hook}: not compared: {what}");
        }
        match &row.absent {
            Some(Absent::NotMade(why)) => _ = writeln!(text, "{service} at {hook}: not compared: {why}"),
            Some(Absent::Refused(why)) => _ = writeln!(text, "\nrefused: {service} at {hook}: {why}"),
            None => {}
        }
    }
    let mut missing: Vec<_> =
        rows.iter().flat_map(|row| row.missing.iter().map(move |name| (&row.service, name))).collect();
    missing.sort_unstable();
    missing.dedup();
    for (service, name) in missing {
        let _ = writeln!(text, "no example of {name} was made, so that {service} was tried without");
    }
    for disagreement in rows.iter().filter_map(|row| row.shown.as_ref()) {
        let _ = writeln!(text, "\n{disagreement}");
    }
    let [programs, packets, disagreements] = totals(rows);
    let counted = |count, what| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let _ = writeln!(
        text,
        "\n{}, {}, {}",
        counted(programs, "program"),
        counted(packets, "packet"),
        counted(disagreements, "disagreement")
    );
    text
}

fn totals(rows: &[ComparedGuard]) -> [u64; 3] {
    let sum = |of: fn(&ComparedGuard) -> u64| rows.iter().map(of).sum();
    [sum(|row| row.programs), sum(|row| row.packets), sum(|row| row.disagreements)]
}

#[derive(Serialize)]
struct GuardDocument<'a> {
    seed: u64,
    packets: u64,
    disagreements: u64,
    rows: Vec<GuardRow<'a>>,
}

#[derive(Serialize)]
struct GuardRow<'a> {
    service: &'a str,
    hook: Hook,
    packets: u64,
    made_from_rules: u64,
    not_runnable: u64,
    disagreements: u64,
    packets_per_second: f64,
    shown: Option<&'a GuardDisagreement>,
    without_example: &'a [String],
    left_out: Option<&'a str>,
    /// Why no program is made of it.
    not_compared: Option<&'a str>,
    /// Why the kernel refuses it.
    refused: Option<&'a str>,
}

/// The same as one JSON document.
///
/// # Errors
/// Making JSON fails.
pub fn json(rows: &[ComparedGuard], seed: u64) -> anyhow::Result<String> {
    let [_, packets, disagreements] = totals(rows);
    let row = |row| {
        let row: &ComparedGuard = row;
        let (not_compared, refused) = match &row.absent {
            None => (None, None),
            Some(Absent::NotMade(reason)) => (Some(reason.as_str()), None),
            Some(Absent::Refused(reason)) => (None, Some(reason.as_str())),
        };
        GuardRow {
            service: &row.service,
            hook: row.hook,
            packets: row.packets,
            made_from_rules: row.made,
            not_runnable: row.not_runnable,
            disagreements: row.disagreements,
            packets_per_second: row.packets_per_second(),
            shown: row.shown.as_ref(),
            without_example: &row.missing,
            left_out: row.left_out,
            not_compared,
            refused,
        }
    };
    let rows = rows.iter().map(row).collect();
    let document = GuardDocument { seed, packets, disagreements, rows };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
