//! `report.html`: the report as one file that needs nothing else.

use anyhow::Context;
use minijinja::{AutoEscape, Environment, value::Serde};
use serde::Serialize;

use super::{Report, table::Table};

/// The commands that make the experiment and its report again.
#[derive(Clone, Debug)]
pub(super) struct Remake {
    /// Runs the experiment.
    pub(super) again: String,
    /// Makes the report of the same samples.
    pub(super) report: String,
}

/// What the template names.
#[derive(Serialize)]
struct Page<'a> {
    title: String,
    answer: &'a str,
    findings: &'a [String],
    remarks: &'a [String],
    overview: &'a Table,
    plots: Vec<Picture<'a>>,
    tables: &'a [Table],
    invalid: &'a Table,
    manifest: &'a Table,
    definition: Option<&'a str>,
    again: &'a str,
    remake: &'a str,
    version: &'static str,
}

#[derive(Serialize)]
struct Picture<'a> {
    title: &'a str,
    svg: String,
}

/// The whole file. Everything that comes from samples or the manifest is escaped; only the plots, which weir drew,
/// stand as they are.
pub(super) fn render(report: &Report, svgs: &[String]) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report", include_str!("report.html")).context("reading the HTML template")?;
    let template = environment.get_template("report").context("finding the HTML template")?;
    let (answer, findings) = report.findings.split_first().context("a report has a finding")?;
    let (overview, tables) = report.tables.split_first().context("a report has an overview")?;
    let plots = report.plots.iter().zip(svgs);
    let page = Page {
        title: report.title(),
        answer,
        findings,
        remarks: &report.remarks,
        overview,
        plots: plots.map(|(plot, svg)| Picture { title: &plot.title, svg: inline(svg) }).collect(),
        tables,
        invalid: &report.invalid,
        manifest: &report.manifest,
        definition: report.environment.definition.as_deref(),
        again: &report.remake.again,
        remake: &report.remake.report,
        version: env!("CARGO_PKG_VERSION"),
    };
    let page = template.render(Serde(&page));
    page.context("filling the HTML template")
}

/// An SVG that scales with the page: a view box instead of a size.
fn inline(svg: &str) -> String {
    let start = svg.find("<svg").unwrap_or(0);
    let svg = &svg[start..];
    match (svg.find("viewBox"), svg.find('>')) {
        (Some(view_box), Some(_)) => format!("<svg role=\"img\" {}", &svg[view_box..]),
        _ => svg.to_owned(),
    }
}
