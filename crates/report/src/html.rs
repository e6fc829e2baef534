//! `report.html`: the report as one file that needs nothing else and asks nobody for anything.

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{AutoEscape, Environment, value::Serde};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    Report,
    draw::Picture,
    plot::Plot,
    table::{PagePart, Table},
    verdict::Ruling,
};

/// What the template names.
#[derive(Serialize)]
struct Page<'a> {
    title: String,
    question: Option<&'a str>,
    answer: &'a str,
    findings: &'a [String],
    remarks: &'a [String],
    unusual: &'a [String],
    verdicts: Vec<Card<'a>>,
    /// What this experiment is about, if it has a table of its own.
    leading: Vec<ShownTable<'a>>,
    overview: ShownTable<'a>,
    charts: Vec<Chart<'a>>,
    tables: Vec<ShownTable<'a>>,
    invalid: ShownTable<'a>,
    manifest: ShownTable<'a>,
    definition: Option<&'a str>,
    again: &'a str,
    remake: &'a str,
    version: &'static str,
    style: &'static str,
    script: &'static str,
    script_hash: String,
}

/// A verdict as a reader meets it.
#[derive(Serialize)]
struct Card<'a> {
    hypothesis: &'a str,
    claim: &'a str,
    outcome: &'static str,
    figure: &'static str,
    number: String,
    visible: String,
    rule: String,
}

impl<'a> Card<'a> {
    fn of(verdict: &'a Ruling) -> Self {
        Self {
            hypothesis: &verdict.rule.hypothesis,
            claim: &verdict.rule.claim,
            outcome: verdict.outcome.name(),
            figure: verdict.rule.figure.title(),
            number: verdict.number_text(),
            visible: verdict.visible_text(),
            rule: verdict.rule.text(),
        }
    }
}

/// A table and its CSV.
#[derive(Serialize)]
struct ShownTable<'a> {
    #[serde(flatten)]
    table: &'a Table,
    csv: String,
}

impl<'a> ShownTable<'a> {
    fn of(table: &'a Table) -> Self {
        Self { table, csv: csv_uri(&table.to_csv()) }
    }
}

#[derive(Serialize)]
struct Chart<'a> {
    slug: &'a str,
    reading: &'a str,
    svg: &'a str,
    data: Table,
    csv: String,
}

impl<'a> Chart<'a> {
    fn of((plot, picture): (&'a Plot, &'a Picture)) -> Self {
        let data = plot.data();
        Self {
            slug: &plot.slug,
            reading: &plot.reading,
            svg: &picture.svg,
            csv: csv_uri(&data.to_csv()),
            data,
        }
    }
}

fn csv_uri(csv: &[u8]) -> String {
    format!("data:text/csv;charset=utf-8;base64,{}", STANDARD.encode(csv))
}

const SCRIPT: &str = include_str!("report.js");

/// The whole file. Everything that comes from samples or the manifest is escaped; only the plots, which weir drew,
/// the encoded CSV, its style and its script stand as they are, and no other script is let run.
pub(super) fn render(report: &Report, pictures: &[Picture]) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report", include_str!("report.html")).context("reading the HTML template")?;
    let template = environment.get_template("report").context("finding the HTML template")?;
    let (answer, findings) = report.findings.split_first().context("a report has a finding")?;
    let page_part = |page_part| {
        report.tables.iter().filter(move |placed| placed.page_part == page_part).map(|placed| &placed.table)
    };
    let overview = page_part(PagePart::Overview).next().context("a report has an overview")?;
    let (remarks, unusual) = report.remarks.split_at(report.unusual.min(report.remarks.len()));
    // The cards say what the table of verdicts does.
    let leading = page_part(PagePart::Leading).filter(|table| table.slug != "verdicts");
    let page = Page {
        title: report.title(),
        question: report.environment.asked.question.as_deref(),
        answer,
        findings,
        remarks,
        unusual,
        verdicts: report.summary.verdicts.iter().map(Card::of).collect(),
        leading: leading.map(ShownTable::of).collect(),
        overview: ShownTable::of(overview),
        charts: report.plots.iter().zip(pictures).map(Chart::of).collect(),
        tables: page_part(PagePart::Detail).map(ShownTable::of).collect(),
        invalid: ShownTable::of(&report.invalid),
        manifest: ShownTable::of(&report.manifest),
        definition: report.environment.definition.as_deref(),
        again: &report.remake.again,
        remake: &report.remake.report,
        version: env!("CARGO_PKG_VERSION"),
        style: include_str!("report.css"),
        script: SCRIPT,
        script_hash: STANDARD.encode(Sha256::digest(SCRIPT)),
    };
    let page = template.render(Serde(&page));
    page.context("filling the HTML template")
}
