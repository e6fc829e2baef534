//! A table as text: what every renderer (terminal, Markdown, HTML, CSV) takes.

use serde::Serialize;

use crate::{report::markdown, terminal};

/// A titled table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

    /// A Markdown section with the table.
    pub(super) fn to_markdown(&self) -> String {
        let row = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| markdown::escape(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = format!("### {}\n\n", markdown::escape(&self.title));
        text += &row(&self.columns);
        text += &format!("|{}\n", "---|".repeat(self.columns.len()));
        self.rows.iter().for_each(|cells| text += &row(cells));
        if !self.note.is_empty() {
            text += &format!("\n{}\n", markdown::escape(&self.note));
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

/// `text` without what could move a terminal's cursor: names come from files.
pub(super) fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
