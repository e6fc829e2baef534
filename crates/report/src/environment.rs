//! What surrounds the samples: the manifest as keys and values, the definition's text, and how complete it all is.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;
use weir_results::{
    number::number,
    rule::Rule,
    sample::Sample,
    store::{DEFINITION, MANIFEST},
};

use crate::{
    grid::SampleGrid,
    place::Place,
    searches::{self, Searches},
    summary::total_ledger,
    table::Table,
};

/// Shown beside the figures, never computed with.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// The manifest, flattened: `sysctls.net.core.rmem_default` and its value.
    pub(super) manifest: Vec<(String, String)>,
    /// The definition's text.
    pub(super) definition: Option<String>,
    /// The definition's title and question.
    pub(super) asked: Question,
    /// The definition's rules for verdicts.
    pub(super) rules: Vec<Rule>,
    /// How long external clients sleep in a run, seconds, by their names.
    pub(super) sleeps_s: BTreeMap<String, f64>,
    /// How many samples the schedule has, where the manifest says so (`planned_samples`).
    pub(super) planned: Option<u64>,
    /// What could not be read.
    pub(super) warnings: Vec<String>,
}

/// What an experiment is to answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Question {
    /// Its title.
    pub(super) title: Option<String>,
    /// Its question.
    pub(super) question: Option<String>,
}

/// The part of a definition that a report works with: the rest, which other versions may know more of, is only shown.
#[derive(Deserialize)]
struct Judged {
    #[serde(flatten)]
    asked: Question,
    #[serde(default)]
    verdicts: Vec<Rule>,
    #[serde(default)]
    external_client: BTreeMap<String, Sleeper>,
}

/// What a report works with of an external client.
#[derive(Deserialize)]
struct Sleeper {
    sleeps_s: Option<f64>,
}

impl Environment {
    /// Reads manifest and definition of `dir`. What is missing or broken becomes a warning: the samples stand without.
    pub(super) fn read(dir: &Path) -> Self {
        let mut environment = Self::default();
        let warnings = &mut environment.warnings;
        let mut read = |name: &str| {
            let bytes = fs::read(dir.join(name));
            bytes.inspect_err(|error| warnings.push(format!("{name} can't be shown: {error}"))).ok()
        };
        let (manifest, definition) = (read(MANIFEST), read(DEFINITION));
        environment.definition = definition.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        match environment.definition.as_deref().map(toml::from_str::<Judged>) {
            Some(Ok(Judged { asked, verdicts, external_client })) => {
                (environment.asked, environment.rules) = (asked, verdicts);
                let sleeps =
                    external_client.into_iter().filter_map(|(name, client)| Some((name, client.sleeps_s?)));
                environment.sleeps_s = sleeps.collect();
            }
            Some(Err(error)) => {
                environment.warnings.push(format!("{DEFINITION} gives no verdict: {error}"));
            }
            None => {}
        }
        match manifest.map(|bytes| serde_json::from_slice::<Value>(&bytes)) {
            Some(Ok(value)) => {
                environment.planned = value.get("planned_samples").and_then(Value::as_u64);
                flatten("", &value, &mut environment.manifest);
            }
            Some(Err(error)) => environment.warnings.push(format!("{MANIFEST} can't be shown: {error}")),
            None => {}
        }
        environment
    }

    /// The manifest as a table.
    pub(super) fn table(&self) -> Table {
        let note = if self.manifest.is_empty() { format!("{MANIFEST} says nothing.") } else { String::new() };
        Table {
            slug: "environment".to_owned(),
            title: "Environment".to_owned(),
            columns: vec!["key".to_owned(), "value".to_owned()],
            rows: self.manifest.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect(),
            note,
        }
    }

    /// A value of the manifest by its flattened key, where it is known.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let known = |(found, value): &&(String, String)| found == key && value != UNKNOWN;
        self.manifest.iter().find(known).map(|(_, value)| value.as_str())
    }
}

fn flatten(key: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(&below(name), value, rows)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().enumerate().for_each(|(i, value)| flatten(&below(&i.to_string()), value, rows));
        }
        Value::Array(items) => {
            rows.push((key.to_owned(), items.iter().map(scalar).collect::<Vec<_>>().join(", ")));
        }
        _ => rows.push((key.to_owned(), scalar(value))),
    }
}

/// What stands for a null.
const UNKNOWN: &str = "unknown";

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => UNKNOWN.to_owned(),
        other => other.to_string(),
    }
}

/// What a reader must know of the samples before trusting the figures: missing runs, runs left out.
pub(super) fn remarks(
    grid: &SampleGrid,
    samples: &[Sample],
    environment: &Environment,
    searches: &Searches,
) -> Vec<String> {
    let mut remarks = Vec::new();
    if samples.is_empty() {
        remarks.push("There is no sample yet: the experiment ended before its first run did.".to_owned());
    }
    let made = samples.len() as u64;
    if samples.iter().any(searches::is_trial) {
        // How many trials a search takes shows when it is over.
        if !searches.complete {
            let how = "`weir capacity --resume DIR` makes the rest.";
            remarks.push(format!("The searches are not complete: {made} runs were made. {how}"));
        }
    } else if let Some(planned) = environment.planned.filter(|&planned| planned > made) {
        remarks.push(format!(
            "The experiment is not complete: {made} of {planned} runs. `weir experiment --resume DIR` makes the rest."
        ));
    }
    let missing: Vec<String> = grid
        .series
        .iter()
        .flat_map(|series| grid.places.iter().map(move |place| (series, place)))
        .filter(|(series, place)| grid.cell(series, place).is_none())
        .map(|(series, place)| format!("{}, {}", grid.label(series), place.phrase(&grid.dimensions)))
        .collect();
    if !missing.is_empty() {
        remarks.push(format!("Cells without a run: {}.", missing.join("; ")));
    }
    let runs = || grid.cells().map(|cell| cell.sound.len());
    if let (Some(fewest), Some(most)) = (runs().min(), runs().max())
        && fewest < most
    {
        remarks.push(format!("Cells differ in their number of sound runs: from {fewest} to {most}."));
    }
    if !grid.invalid.is_empty() {
        remarks.push(format!(
            "{} of {made} samples are invalid and left out of every estimate; they are listed at the end.",
            grid.invalid.len()
        ));
    }
    remarks.extend(unserved(grid));
    if environment.get("build.optimised") == Some("false") {
        remarks.push("The samples were made by a build without optimisation, which is slower.".to_owned());
    }
    remarks
}

/// Share of the packets sent from which the loss for a full buffer is worth a remark.
const UNSERVED_FROM: f64 = 0.01;

/// Says that servers which lost packets also saved the time to handle them.
fn unserved(grid: &SampleGrid) -> Option<String> {
    let lost = grid.cells().filter_map(|runs| {
        let total = total_ledger(&runs.sound)?;
        Some((total.dropped_for_buffer as f64 / total.sent.max(1) as f64, runs))
    });
    let (worst, runs) = lost.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (worst >= UNSERVED_FROM).then(|| {
        format!(
            "Packets were dropped for a full receive buffer, most of them ({} % of those sent) in the cell {}, {}. A server spends nothing on what it never read: where it lost packets, its CPU time \
             per packet sent would be higher without the loss.",
            number(worst * 100.0, 3),
            grid.label_of(&runs.cell),
            Place::of(&runs.cell).phrase(&grid.dimensions)
        )
    })
}

/// The commands that make the experiment and its report again.
#[derive(Clone, Debug)]
pub(super) struct Remake {
    /// Runs the experiment.
    pub(super) again: String,
    /// Makes the report of the same samples.
    pub(super) report: String,
}

pub(super) fn remake(experiment: Option<String>, environment: &Environment) -> Remake {
    let mut again = match experiment.as_deref() {
        Some(weir_results::capacity::NAME) => "weir capacity".to_owned(),
        name => format!("weir experiment {}", name.unwrap_or("NAME")),
    };
    for flag in ["profile", "seed"] {
        if let Some(value) = environment.get(flag) {
            again += &format!(" --{flag} {value}");
        }
    }
    Remake { again, report: "weir report DIR".to_owned() }
}
