//! A table as text: what every renderer (terminal, Markdown, HTML, CSV) takes.

use serde::Serialize;
use weir_output::terminal;

/// Where a page has a section's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PagePart {
    /// At the top, before the overview.
    Leading,
    /// The overview: one section has it.
    Overview,
    /// Behind the charts, folded.
    Detail,
}

/// A titled table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Table {
    /// File name without extension; unique in a report.
    pub slug: String,
    /// What it shows.
    pub title: String,
    /// The head of each column.
    pub columns: Vec<String>,
    /// The rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
    /// How to read it; may be empty.
    pub note: String,
}

impl Table {
    /// The rows under their heads, as CSV (RFC 4180, with line feeds alone).
    pub(super) fn to_csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for record in std::iter::once(&self.columns).chain(&self.rows) {
            // A vector takes every write, and rows are as long as the head.
            writer.write_record(record).expect("rows are as long as the head");
        }
        writer.into_inner().expect("a vector takes every write")
    }

    /// What stands under `column` in the row whose columns `at` have these values, spaces aside; a value that ends in `*` is
    /// the beginning of one. A column is named by its head, or by a beginning that no other head has.
    ///
    /// # Errors
    /// What isn't there, or which rows are meant alike.
    pub(super) fn cell(&self, at: &[(String, String)], column: &str) -> Result<String, String> {
        let wanted = self.column(column)?;
        let at = at.iter().map(|(head, value)| Ok((self.column(head)?, value)));
        let at = at.collect::<Result<Vec<_>, String>>()?;
        let is_it = |row: &&Vec<String>| at.iter().all(|&(i, value)| is_meant(&row[i], value));
        let rows: Vec<_> = self.rows.iter().filter(is_it).collect();
        match rows.as_slice() {
            [row] => Ok(row[wanted].clone()),
            [] => Err(format!("no row of table '{}' has these values", self.slug)),
            [first, second, ..] => {
                let differ = self.columns.iter().zip(first.iter().zip(*second)).filter(|(_, (a, b))| a != b);
                let differ: Vec<_> =
                    differ.map(|(head, (a, b))| format!("{head}={a} or {b}")).take(4).collect();
                Err(format!("{} rows of table '{}': {}", rows.len(), self.slug, differ.join(", ")))
            }
        }
    }

    fn column(&self, name: &str) -> Result<usize, String> {
        let exact = self.columns.iter().position(|head| squeezed(head) == squeezed(name));
        let begins = |head: &String| squeezed(head).starts_with(&squeezed(name));
        let begun: Vec<_> = (0..self.columns.len()).filter(|&i| begins(&self.columns[i])).collect();
        match (exact, begun.as_slice()) {
            (Some(column), _) => Ok(column),
            (None, &[column]) => Ok(column),
            _ => Err(format!(
                "{} column '{name}' in table '{}'; there are: {}",
                if begun.is_empty() { "no" } else { "more than one" },
                self.slug,
                self.columns.join(" | ")
            )),
        }
    }

    /// A Markdown section with the table.
    pub(super) fn to_markdown(&self) -> String {
        let row = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| escape(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = format!("### {}\n\n", escape(&self.title));
        text += &row(&self.columns);
        text += &format!("|{}\n", "---|".repeat(self.columns.len()));
        self.rows.iter().for_each(|cells| text += &row(cells));
        if !self.note.is_empty() {
            text += &format!("\n{}\n", escape(&self.note));
        }
        text
    }

    /// The table for a terminal, fitted to its width; `plain` leaves out lines that aren't ASCII and fits nothing.
    pub(super) fn to_terminal(&self, plain: bool) -> String {
        let mut table = terminal::table(plain);
        let printable =
            |cells: &[String]| cells.iter().map(|cell| without_controls(cell)).collect::<Vec<_>>();
        table.set_header(printable(&self.columns));
        self.rows.iter().for_each(|cells| {
            table.add_row(printable(cells));
        });
        let note = if self.note.is_empty() { String::new() } else { format!("{}\n", self.note) };
        let mut note = without_controls(&note);
        if !plain {
            terminal::keep_words(&mut table);
            note = terminal::wrapped(&note);
        }
        format!("{}\n{table}\n{note}", without_controls(&self.title))
    }
}

fn is_meant(cell: &str, value: &str) -> bool {
    match value.strip_suffix('*') {
        Some(beginning) => squeezed(cell).starts_with(&squeezed(beginning)),
        None => squeezed(cell) == squeezed(value),
    }
}

/// `text` without white space, so that 200 000 is 200000.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// `text` without what could move a terminal's cursor: names come from files.
pub(super) fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// `text` such that Markdown shows it as it is, on one line.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' => {
                escaped.extend(['\\', c])
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
