//! `report.md`: the report as Markdown, with links to the plots.

use crate::{Report, environment::Remake, table::escape};

/// The whole file.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("# {}\n\n", escape(&report.title()));
    text += &bullets(&report.findings);
    if !report.remarks.is_empty() {
        text += &format!("## To be known before reading on\n\n{}", bullets(&report.remarks));
    }
    let again = &report.remake.report;
    text += &format!(
        "## Tables\n\nEach is also a file below tables/, made again from the samples by `{again}`.\n\n"
    );
    for table in report.tables().filter(|table| !table.rows.is_empty() || !table.note.is_empty()) {
        text += &format!("{}\n", table.to_markdown());
    }
    text += "## Plots\n\n";
    for plot in &report.plots {
        text += &format!("![{}](plots/{}.svg)\n\n", escape(&plot.title), plot.slug);
    }
    text += &format!("{}\n", report.invalid.to_markdown());
    text += &format!("{}\n", report.manifest.to_markdown());
    if let Some(definition) = &report.environment.definition {
        // A fence longer than any in the text can't be closed by it.
        let fence = "`".repeat(longest_run_of_backticks(definition).max(2) + 1);
        text += &format!("### Definition\n\n{fence}toml\n{}\n{fence}\n\n", definition.trim_end());
    }
    let Remake { again, report: remake } = &report.remake;
    text += &format!("### To make it again\n\n    {again}\n    {remake}\n");
    text
}

fn bullets(lines: &[String]) -> String {
    let items: String = lines.iter().map(|line| format!("- {}\n", escape(line))).collect();
    format!("{items}\n")
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_samples_can_not_become_markup() {
        assert_eq!(escape("a|b <script> [x](y)\n# z"), "a\\|b \\<script\\> \\[x\\](y) \\# z");
        assert_eq!(longest_run_of_backticks("a ``` b `"), 3);
    }
}
