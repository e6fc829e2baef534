//! `report.html`: the report as one file that needs nothing else and asks nobody for anything.

use anyhow::Context;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{Value, context, value::Serde};
use sha2::{Digest as _, Sha256};

use crate::{
    Report,
    draw::Picture,
    plot::Plot,
    table::{PagePart, Table},
    template::filled,
    verdict::Ruling,
};

/// A verdict as a reader meets it.
fn card(verdict: &Ruling) -> Value {
    context! {
        hypothesis => &verdict.rule.hypothesis,
        claim => &verdict.rule.claim,
        outcome => verdict.outcome.name(),
        figure => verdict.rule.figure.title(),
        number => verdict.number_text(),
        visible => verdict.visible_text(),
        rule => verdict.rule.text(),
    }
}

/// A table and its CSV.
fn shown(table: &Table) -> Value {
    context! { csv => csv_uri(table), ..Serde(table) }
}

fn chart((plot, picture): (&Plot, &Picture)) -> Value {
    let data = plot.data();
    context! {
        slug => &plot.slug,
        reading => &plot.reading,
        svg => &picture.svg,
        csv => csv_uri(&data),
        data => Serde(data),
    }
}

fn csv_uri(table: &Table) -> String {
    format!("data:text/csv;charset=utf-8;base64,{}", STANDARD.encode(table.to_csv()))
}

const SCRIPT: &str = include_str!("report.js");

/// The whole file. Everything that comes from samples or the manifest is escaped; only the plots, which weir drew,
/// the encoded CSV, its style and its script stand as they are, and no other script is let run.
pub(super) fn render(report: &Report, pictures: &[Picture]) -> anyhow::Result<String> {
    let (answer, findings) = report.findings.split_first().context("a report has a finding")?;
    let page_part = |page_part| {
        let sections = report.sections.iter().filter(move |section| section.page_part == page_part);
        sections.flat_map(|section| &section.tables)
    };
    let overview = page_part(PagePart::Overview).next().context("a report has an overview")?;
    let (remarks, unusual) = report.remarks.split_at(report.unusual.min(report.remarks.len()));
    // The cards say what the table of verdicts does.
    let leading = page_part(PagePart::Leading).filter(|table| table.slug != "verdicts");
    let page = context! {
        title => report.title(),
        question => &report.environment.asked.question,
        answer,
        findings => Serde(findings),
        remarks => Serde(remarks),
        unusual => Serde(unusual),
        verdicts => Value::from_iter(report.summary.verdicts.iter().map(card)),
        // What this experiment is about, if it has a table of its own.
        leading => Value::from_iter(leading.map(shown)),
        overview => shown(overview),
        charts => Value::from_iter(report.plots.iter().zip(pictures).map(chart)),
        tables => Value::from_iter(page_part(PagePart::Detail).map(shown)),
        invalid => shown(&report.invalid),
        manifest => shown(&report.manifest),
        definition => &report.environment.definition,
        again => &report.remake.again,
        remake => &report.remake.report,
        version => env!("CARGO_PKG_VERSION"),
        style => include_str!("report.css"),
        script => SCRIPT,
        script_hash => STANDARD.encode(Sha256::digest(SCRIPT)),
    };
    filled(include_str!("report.html"), page).context("filling the HTML template")
}
