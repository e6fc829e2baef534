//! Reports: everything that can be said of a results folder, from its samples alone.
//!
//! The same samples give the same files, to the byte: no clock, no random number, no path goes into a report.

mod advice;
mod axis;
mod capacity_costs;
mod compare;
mod draw;
mod environment;
mod frame;
mod grid;
mod html;
mod markdown;
mod marks;
mod place;
mod plot;
mod plots;
mod quoted;
mod raw;
mod reported;
mod searches;
mod sections;
mod summary;
mod table;
mod tables;
mod template;
mod unsound;
mod unusual;
mod verdict;

use std::{
    mem,
    path::{Path, PathBuf},
};

pub use advice::{Advice, Wish};
pub use compare::FolderComparison;
pub use sections::filter_cost::FilterCost;
pub use summary::{CellSummary, Ratio, RatioSummary, Summary};
pub use unsound::why_nothing;
pub use verdict::{Outcome, Ruling};

use weir_output::terminal;
use weir_results::{
    capacity,
    sample::Sample,
    store::{self, Saved},
};

use draw::Picture;
use environment::{Environment, Remake, remake};
use grid::SampleGrid;
use plot::Plot;
use searches::Searches;
use sections::{Material, Section, ladder};
use table::Table;

/// Of the findings, which begin with the most telling, so many are printed.
const FINDINGS_ON_TERMINAL: usize = 12;

/// A report before it is written.
#[derive(Clone, Debug)]
pub struct Report {
    experiment: Option<String>,
    samples: Vec<Sample>,
    summary: Summary,
    cells: Table,
    findings: Vec<String>,
    remarks: Vec<String>,
    /// Of the remarks, from which on they are about single runs.
    unusual: usize,
    /// Their plots and findings stand apart.
    sections: Vec<Section>,
    invalid: Table,
    /// From which documents quote; files alone, since they are wide.
    quoted: [Table; 3],
    manifest: Table,
    plots: Vec<Plot>,
    environment: Environment,
    remake: Remake,
}

/// Reads the results folder `dir`, writes its report into it and returns it, for [`Report::to_terminal`].
///
/// Written are `report.md`, `report.html`, `summary.json`, `tables/*.csv` and `plots/*.{svg,png}`; each appears whole
/// or not at all. Incomplete results give a report that says so; a folder that can't be read or written is an error.
pub fn write_all(dir: &Path) -> anyhow::Result<Report> {
    let report = Report::read(dir)?;
    report.write(dir)?;
    Ok(report)
}

impl Report {
    /// Makes the report of the results folder `dir` without writing anything.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        Self::of(dir, None)
    }

    /// Makes the report of the results folder `dir`, with the capacities that were searched for in the folder `capacities`
    /// joined to the hooks of `dir` where they were measured under the same conditions.
    ///
    /// # Errors
    /// A folder can't be read, or `capacities` has no finished search.
    pub fn read_beside(dir: &Path, capacities: &Path) -> anyhow::Result<Self> {
        Self::of(dir, Some(capacities))
    }

    fn of(dir: &Path, beside: Option<&Path>) -> anyhow::Result<Self> {
        let Saved { samples, mut warnings } = store::read(dir)?;
        let environment = Environment::read(dir);
        let searches = Searches::read(dir);
        let joined = beside.map(Searches::joined).transpose()?;
        let capacities = joined.as_ref().unwrap_or(&searches);
        // A search's trials are too many rates for a grid; what they come to is in its record.
        let (trials, placed): (Vec<_>, Vec<_>) = samples.iter().cloned().partition(searches::is_trial);
        let mut grid = SampleGrid::of(&placed);
        grid.sleeps_s.clone_from(&environment.sleeps_s);
        warnings.extend(environment.warnings.iter().cloned());
        warnings.extend(environment::remarks(&grid, &samples, &environment, &searches));
        warnings.extend(searches.warnings.iter().cloned());
        warnings.extend(searches::unusable(&trials));
        warnings.extend(ladder::unjoined(&grid, capacities));
        let unusual = warnings.len();
        warnings.extend(unusual::remarks(&grid));
        let verdicts: Vec<_> =
            environment.rules.iter().map(|rule| verdict::apply(rule, &grid, &searches)).collect();
        let mut sections = sections::sections(&Material {
            grid: &grid,
            samples: &samples,
            trials: &trials,
            searches: &searches,
            capacities,
            environment: &environment,
            rulings: &verdicts,
        });
        let findings = sections.iter_mut().flat_map(|section| mem::take(&mut section.findings)).collect();
        let plots = sections.iter_mut().flat_map(|section| mem::take(&mut section.plots)).collect();
        let mut remake = remake(name_of(&samples), &environment);
        if joined.is_some() {
            remake.report += " --capacity CAPACITY_DIR";
        }
        Ok(Self {
            experiment: name_of(&samples),
            summary: Summary::of(&grid, verdicts),
            cells: raw::cells(&grid),
            findings,
            remarks: warnings,
            unusual,
            sections,
            invalid: raw::invalid(&grid),
            quoted: quoted::tables(&grid, &samples),
            manifest: environment.table(),
            plots,
            remake,
            environment,
            samples,
        })
    }

    /// What the report is about.
    pub fn title(&self) -> String {
        match (&self.experiment, &self.environment.asked.title) {
            (Some(name), Some(title)) if name.eq_ignore_ascii_case(title) => title.clone(),
            (Some(name), Some(title)) => format!("{name}: {title}"),
            (Some(name), _) if !self.summary.toolkit_ratios.is_empty() => {
                format!("{name}: the same filter by different toolkits")
            }
            (Some(name), _) => format!("{name}: filtering in the kernel or in user space"),
            (None, _) => "An experiment without samples".to_owned(),
        }
    }

    /// The sentences that the numbers allow, the most telling first.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// What a reader must know before trusting the figures.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The content of `summary.json`.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Tables, findings and remarks for a terminal; `plain` is for pipes and files: no lines that aren't ASCII, no
    /// fitting to a width.
    pub fn to_terminal(&self, plain: bool) -> String {
        let sections = self.sections.iter().filter(|section| section.is_on_terminal);
        let shown = sections.flat_map(|section| &section.tables).filter(|table| !table.rows.is_empty());
        let nothing = why_nothing(&self.samples).map(|why| format!("{}\n\n", table::without_controls(&why)));
        let nothing = nothing.map(|why| if plain { why } else { terminal::wrapped(&why) });
        let mut text = nothing.unwrap_or_default();
        text.extend(shown.map(|table| format!("{}\n", table.to_terminal(plain))));
        let bullets = |lines: &[String]| {
            let bullet = |line: &String| format!("- {}\n", table::without_controls(line));
            let text = lines.iter().map(bullet).collect::<String>();
            if plain { text } else { terminal::wrapped(&text) }
        };
        let (shown, rest) = self.findings.split_at(self.findings.len().min(FINDINGS_ON_TERMINAL));
        text += &format!("Findings\n{}", bullets(shown));
        if !rest.is_empty() {
            text += &format!("- and {} more, in report.html and report.md\n", rest.len());
        }
        if !self.remarks.is_empty() {
            text += &format!("\nTo be known\n{}", bullets(&self.remarks));
        }
        text
    }

    /// The tables of the sections.
    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.tables)
    }

    /// Every table that documents can quote from.
    fn all_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables().chain([&self.invalid]).chain(&self.quoted)
    }

    /// The text of the cell of one table: in the row where the columns named have the values given.
    ///
    /// # Errors
    /// There is no such table, column or row, or several rows are meant.
    pub fn cell(&self, table: &str, at: &[(String, String)], column: &str) -> Result<String, String> {
        let found = self.all_tables().find(|one| one.slug == table);
        let slugs = || self.all_tables().map(|one| one.slug.as_str()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("no table '{table}'; there are: {}", slugs()))?.cell(at, column)
    }

    /// Writes every file of the report below `dir`.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        for (path, bytes) in self.files()? {
            let path = dir.join(path);
            if let Some(folder) = path.parent() {
                store::create_folder(folder)?;
            }
            weir_output::write_whole(&path, &bytes)?;
        }
        Ok(())
    }

    /// Every file of the report: its path below the results folder, and its content.
    fn files(&self) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
        let pictures = self.plots.iter().map(Picture::of).collect::<anyhow::Result<Vec<_>>>()?;
        let mut files: Vec<(PathBuf, Vec<u8>)> = vec![
            ("summary.json".into(), self.summary.to_json().into_bytes()),
            ("report.md".into(), markdown::render(self).into_bytes()),
            ("report.html".into(), html::render(self, &pictures)?.into_bytes()),
            ("tables/cells.csv".into(), self.cells.to_csv()),
            ("tables/runs.csv".into(), raw::runs(&self.samples).to_csv()),
        ];
        for table in self.all_tables() {
            files.push((format!("tables/{}.csv", table.slug).into(), table.to_csv()));
        }
        for (plot, Picture { svg, png }) in self.plots.iter().zip(pictures) {
            files.push((format!("plots/{}.png", plot.slug).into(), png));
            files.push((format!("plots/{}.svg", plot.slug).into(), svg.into_bytes()));
        }
        Ok(files)
    }
}

/// The experiment that `samples` are of.
fn name_of(samples: &[Sample]) -> Option<String> {
    if samples.iter().any(searches::is_trial) {
        return Some(capacity::NAME.to_owned());
    }
    samples.first().map(|sample| sample.experiment.clone())
}
