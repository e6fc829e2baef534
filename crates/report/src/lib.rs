//! Reports: everything that can be said of a results folder, from its samples alone.
//!
//! The same samples give the same files, to the byte: no clock, no random number, no path goes into a report.

mod advice;
mod axis;
mod beside;
mod capacity_costs;
mod compare;
mod draw;
mod environment;
mod filter_cost;
mod findings;
mod grid;
mod html;
mod ladder;
mod ledgers;
mod markdown;
mod marks;
mod narrowing;
mod onset;
mod overview;
mod overviews;
mod pairings;
mod place;
mod plot;
mod plots;
mod quoted;
mod raw;
mod reported;
mod searches;
mod summary;
mod table;
mod tables;
mod trials;
mod unsound;
mod unusual;
mod verdict;

use std::path::{Path, PathBuf};

pub use advice::{Advice, Wish};
pub use compare::FolderComparison;
pub use filter_cost::FilterCost;
pub use summary::{CellSummary, Ratio, RatioSummary, Summary};
use table::Table;

pub use unsound::why_nothing;
pub use verdict::{Outcome, Ruling};

use weir_output::terminal;
use weir_results::{
    capacity,
    cell::Dimension,
    sample::Sample,
    store::{self, Saved},
};

use draw::Picture;
use environment::Environment;
use grid::SampleGrid;
use html::Remake;
use plot::Plot;
use searches::Searches;

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
    /// Verdicts and capacities first, where there are any, and then the overview.
    tables: Vec<Table>,
    /// Which of the tables is the overview.
    overview: usize,
    /// How many tables, from the first, a terminal shows.
    tables_on_terminal: usize,
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
    pub fn read(dir: &Path) -> anyhow::Result<Self> {
        let searches = Searches::read(dir);
        Ok(Self::of(store::read(dir)?, Environment::read(dir), searches.clone(), &searches))
    }

    /// The same, with the capacities that were searched for in the folder `capacities` joined to the hooks of `dir`
    /// where they were measured under the same conditions.
    ///
    /// # Errors
    /// A folder can't be read, or `capacities` has no finished search.
    pub fn read_beside(dir: &Path, capacities: &Path) -> anyhow::Result<Self> {
        let beside = Searches::read(capacities);
        anyhow::ensure!(
            !beside.records.is_empty(),
            "{} has no finished search to join; `weir capacity` makes them",
            capacities.display()
        );
        let mut report = Self::of(store::read(dir)?, Environment::read(dir), Searches::read(dir), &beside);
        report.remake.report += " --capacity CAPACITY_DIR";
        Ok(report)
    }

    fn of(saved: Saved, environment: Environment, searches: Searches, capacities: &Searches) -> Self {
        let Saved { samples, mut warnings } = saved;
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
        let mut tables: Vec<_> = verdict::table(&verdicts).into_iter().collect();
        tables.extend(searches.table());
        tables.extend(searches.costs.clone());
        tables.extend(ladder::table(&grid));
        tables.extend(ladder::table_of_hooks(&grid));
        tables.extend(filter_cost::table(&grid));
        tables.extend(narrowing::table(&grid));
        tables.extend(pairings::table(&grid));
        let before = tables.len();
        tables.push(overview::table(&grid, &environment.rules));
        let shaped = tables::shaped(&grid);
        // With a single packet count, the overview holds what these do.
        let tables_on_terminal =
            if grid.values(Dimension::Packets).len() > 1 && trials.is_empty() { 1 + shaped.len() } else { 1 };
        tables.extend(shaped);
        tables.push(tables::ratios(&grid));
        tables.extend(tables::toolkit_ratios(&grid));
        if trials.is_empty() {
            tables.extend(beside::tables(&grid));
        }
        tables.extend(pairings::shaped(&grid));
        tables.extend(tables::carried(&grid));
        tables.extend(tables::process(&grid));
        tables.extend(tables::latencies(&grid));
        tables.push(ledgers::ledger(&grid));
        tables.extend(ledgers::audit(&grid));
        let mut findings = searches.findings();
        if findings.is_empty() || !placed.is_empty() {
            findings.extend(ladder::findings(&grid));
            findings.extend(onset::findings(&grid));
            findings.extend(filter_cost::findings(&grid));
            findings.extend(why_nothing(&samples).map_or_else(|| findings::findings(&grid), |why| vec![why]));
            findings.extend(narrowing::finding(&grid));
        }
        Self {
            experiment: name_of(&samples),
            summary: Summary::of(&grid, verdicts),
            cells: raw::cells(&grid),
            findings,
            remarks: warnings,
            unusual,
            tables,
            tables_on_terminal: before + tables_on_terminal,
            overview: before,
            invalid: raw::invalid(&grid),
            quoted: quoted::tables(&grid, &samples),
            manifest: environment.table(),
            plots: plots_of(&grid, &searches, capacities, &trials),
            remake: remake(name_of(&samples), &environment),
            environment,
            samples,
        }
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
        let tables = self.tables.iter().take(self.tables_on_terminal).filter(|table| !table.rows.is_empty());
        let nothing = why_nothing(&self.samples).map(|why| format!("{}\n\n", table::without_controls(&why)));
        let nothing = nothing.map(|why| if plain { why } else { terminal::wrapped(&why) });
        let mut text = nothing.unwrap_or_default();
        text.extend(tables.map(|table| format!("{}\n", table.to_terminal(plain))));
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

    /// Every table that documents can quote from.
    fn all_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().chain([&self.invalid]).chain(&self.quoted)
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
    pub fn files(&self) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
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

fn plots_of(grid: &SampleGrid, searches: &Searches, capacities: &Searches, trials: &[Sample]) -> Vec<Plot> {
    let mut plots = searches.plots();
    plots.extend(trials::plot(searches, trials));
    plots.extend(ladder::plots(grid, capacities));
    plots.extend(narrowing::plots(grid));
    plots.extend(plots::plots(grid));
    plots.extend(overviews::maps(grid));
    plots.extend(overviews::strips(grid));
    plots
}

/// The experiment that `samples` are of.
fn name_of(samples: &[Sample]) -> Option<String> {
    if samples.iter().any(searches::is_trial) {
        return Some(capacity::NAME.to_owned());
    }
    samples.first().map(|sample| sample.experiment.clone())
}

fn remake(experiment: Option<String>, environment: &Environment) -> Remake {
    let mut again = match experiment.as_deref() {
        Some(capacity::NAME) => "weir capacity".to_owned(),
        name => format!("weir experiment {}", name.unwrap_or("NAME")),
    };
    for flag in ["profile", "seed"] {
        if let Some(value) = environment.get(flag) {
            again += &format!(" --{flag} {value}");
        }
    }
    Remake { again, report: "weir report DIR".to_owned() }
}
