//! Which tables a report has, made from the grid.

use weir_results::{
    cell::Dimension,
    figure::{Figure, SCOPE},
    number::{count, estimate, number, ratio},
    stats::Estimate,
};

use crate::{
    grid::{CellPair, CellRuns, Contrast, SampleGrid, Series},
    place::{Place, head, value_text},
    table::Table,
};

/// The tables of the report's shape: one for each figure and series, one dimension across and the others down.
pub(super) fn shaped(grid: &SampleGrid) -> Vec<Table> {
    let of_figure = |figure: Figure| {
        grid.series.iter().enumerate().map(move |(i, series)| Table {
            slug: format!("{}-{}-{}", figure.slug(), i + 1, series.placement().name()),
            title: format!("{}: {}", figure.head(), grid.label(series)),
            note: format!("{}{}", figure.scope(), grid.sleep_note(figure, series.external_client())),
            ..shaped_table(grid, figure, &[series], None)
        })
    };
    Figure::SHAPED.into_iter().flat_map(of_figure).collect()
}

/// Columns and rows of the report's shape. What goes across is packets, as there, or the last of what varies; a row for
/// each of `series` at each place along the rest, with who decides where that has a head.
pub(super) fn shaped_table(
    grid: &SampleGrid,
    figure: Figure,
    series: &[&Series],
    decider_head: Option<&str>,
) -> Table {
    let across = if grid.is_of_the_reports_shape() {
        Dimension::Packets
    } else {
        *grid.dimensions.last().expect("the invalid share is shown in every grid")
    };
    let (down, values) = (grid.dimensions_but(across), grid.values(across));
    let lines = grid.lines(&down);
    let row = |(line, series): (&Place, &Series)| {
        let mut row = line.row(&down);
        row.extend(decider_head.map(|_| series.decider()));
        row.extend(values.iter().map(|&value| {
            let is_here = |place: &&Place| place.only(&down) == *line && place.along(across) == value;
            let runs = grid.places.iter().find(is_here).and_then(|place| grid.cell(series, place));
            if figure == Figure::Loss { loss_text(runs) } else { estimate_text(runs, figure) }
        }));
        row
    };
    let unit = if across.unit().is_empty() { across.title() } else { across.unit() };
    let across_heads = values.iter().map(|&value| format!("{} {unit}", value_text(across, value)));
    Table {
        columns: heads(&down).chain(decider_head.map(str::to_owned)).chain(across_heads).collect(),
        rows: lines.iter().flat_map(|line| series.iter().map(move |&one| (line, one))).map(row).collect(),
        ..Table::default()
    }
}

/// What each cell carried and what it cost; nothing where no cell has any of it.
pub(super) fn carried(grid: &SampleGrid) -> Option<Table> {
    let note = format!(
        "A valid request is served when the server handled it. {SCOPE} The clients' is that of whole processes; over \
         loopback it holds the kernel's receiving and filtering. Energy needs RAPL."
    );
    by_cell(grid, "carried", "What was carried, and what it cost", &Figure::CARRIED, &note)
}

/// What the server's process used in each cell: the report's CPU share, page faults, context switches and memory.
pub(super) fn process(grid: &SampleGrid) -> Option<Table> {
    let note = format!(
        "Counts of the whole process, as wait4(2) gives them; a voluntary context switch is one because it waited. The \
         share is the server's CPU time ÷ the wall time, from the first packet sent to the last handled. {SCOPE}"
    );
    by_cell(grid, "process", "What the server's process used", &Figure::PROCESS, &note)
}

/// Latency of GETs in each cell; nothing where none was measured.
pub(super) fn latencies(grid: &SampleGrid) -> Option<Table> {
    let measured = |figure: &Figure| grid.sound().any(|sample| figure.of(sample).is_some());
    let note = "From the moment that a GET was due, whether it left in time or not, to its reply: an open loop hides no \
                waiting. Of each run the percentile is taken; shown is the median over runs.";
    let table = by_cell(grid, "latency", "Latency of GETs", &Figure::LATENCIES, note);
    table.filter(|_| Figure::LATENCIES.iter().any(measured))
}

/// A row for each cell, a column for each figure.
fn by_cell(grid: &SampleGrid, slug: &str, title: &str, figures: &[Figure], note: &str) -> Option<Table> {
    let measured = |figure: &Figure| grid.sound().any(|sample| figure.of(sample).is_some());
    // Nobody asks for a rate where none was offered; energy is asked for on every machine.
    let shown: Vec<_> =
        figures.iter().copied().filter(|figure| *figure == Figure::Energy || measured(figure)).collect();
    let row = |runs: &CellRuns| {
        let mut row = vec![grid.label_of(&runs.cell)];
        row.extend(Place::of(&runs.cell).row(&grid.dimensions));
        row.extend(shown.iter().map(|&figure| match runs.estimate(figure) {
            Some(median) => estimate(&median, |value| figure_text(figure, value)),
            None if runs.sound.is_empty() => "no sound run".to_owned(),
            None => "not available here".to_owned(),
        }));
        row
    };
    let figure_heads = shown.iter().map(|figure| figure.head());
    let columns = std::iter::once("series".to_owned()).chain(heads(&grid.dimensions)).chain(figure_heads);
    (grid.cells().next().is_some()).then(|| Table {
        slug: slug.to_owned(),
        title: title.to_owned(),
        columns: columns.collect(),
        rows: grid.cells().map(row).collect(),
        note: note.to_owned(),
    })
}

/// A value of `figure`, large ones in groups of three.
pub(super) fn figure_text(figure: Figure, value: f64) -> String {
    if value.abs() >= 1000.0 { count(value.abs().round() as u64) } else { number(value, figure.digits()) }
}

/// The heads of the columns of `dimensions`.
pub(super) fn heads(dimensions: &[Dimension]) -> impl Iterator<Item = String> {
    dimensions.iter().map(|&dimension| head(dimension))
}

/// Kernel ÷ user of each place of the grid.
pub(super) fn ratios(grid: &SampleGrid) -> Table {
    Table {
        slug: "ratios".to_owned(),
        title: "Kernel ÷ user, paired by repetition".to_owned(),
        note: format!(
            "Below 1 the kernel's side is the smaller. {SCOPE} Over loopback a socket filter runs on the sender's CPU \
             time, so what it saves the server is to be read beside what it costs the client."
        ),
        ..ratio_table(grid, &grid.compared(Contrast::Placement))
    }
}

/// One toolkit ÷ another of each place of the grid; nothing where there is but one.
pub(super) fn toolkit_ratios(grid: &SampleGrid) -> Option<Table> {
    let comparisons = grid.compared(Contrast::Toolkit);
    let first = comparisons.first()?;
    let base = first.side(first.base);
    Some(Table {
        slug: "toolkit-ratios".to_owned(),
        title: format!("Toolkit ÷ {base}, paired by repetition"),
        note: format!(
            "Below 1 the series' side is the smaller: the same filter in the kernel, by its toolkit and by {base}. {SCOPE} \
             Over loopback the program runs on the client's CPU time."
        ),
        ..ratio_table(grid, &comparisons)
    })
}

/// The columns of a table of ratios.
const QUOTIENTS: [(&str, Figure); 4] = [
    ("server CPU", Figure::ServerCpu),
    ("server CPU, start-up included", Figure::ServerCpuProcess),
    ("client CPU", Figure::ClientCpu),
    ("wall time", Figure::Wall),
];

fn ratio_table(grid: &SampleGrid, comparisons: &[CellPair<'_>]) -> Table {
    let row = |comparison: &CellPair<'_>| {
        let cell = &comparison.cell.cell;
        let mut row = comparison.place().row(&grid.dimensions);
        row.push(grid.label_of(cell));
        row.extend(QUOTIENTS.map(|(_, figure)| ratio_text(comparison.ratio(figure))));
        row.push(comparison.ratio(Figure::ServerCpu).map_or(0, |ratio| ratio.runs).to_string());
        row
    };
    let more = ["series"].into_iter().chain(QUOTIENTS.map(|(head, _)| head)).chain(["pairs"]);
    Table {
        columns: heads(&grid.dimensions).chain(more.map(str::to_owned)).collect(),
        rows: comparisons.iter().map(row).collect(),
        ..Table::default()
    }
}

/// An estimate of a cell as a table shows it, or why there is none.
pub(super) fn estimate_text(runs: Option<&CellRuns>, figure: Figure) -> String {
    estimate_text_less(runs, figure, 0.0)
}

/// The same, less so much of each run.
pub(super) fn estimate_text_less(runs: Option<&CellRuns>, figure: Figure, less: f64) -> String {
    let Some(runs) = runs else { return "not run".to_owned() };
    if runs.sound.is_empty() {
        return "no sound run".to_owned();
    }
    let values: Vec<_> = runs.values(figure).into_iter().map(|value| value - less).collect();
    or_dash(Estimate::of(&values), |value| number(value, figure.digits()))
}

/// An estimate, or a dash where there is none.
pub(super) fn or_dash(found: Option<Estimate>, text: impl Fn(f64) -> String) -> String {
    found.map_or("–".to_owned(), |found| estimate(&found, text))
}

/// A ratio as a table shows it.
pub(super) fn ratio_text(median: Option<Estimate>) -> String {
    median.map_or("no pair".to_owned(), |median| estimate(&median, ratio))
}

/// The loss of a cell as a table shows it, with how many runs answered.
fn loss_text(runs: Option<&CellRuns>) -> String {
    let text = estimate_text(runs, Figure::Loss);
    match runs {
        Some(runs) => {
            let responding = runs.sound.iter().filter(|sample| sample.get_value.is_some()).count();
            format!("{text}; {responding} of {} runs answered", runs.sound.len() + runs.invalid)
        }
        None => text,
    }
}
