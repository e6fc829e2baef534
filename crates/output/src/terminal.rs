//! Tables and sentences on a terminal and in a pipe.

use std::mem;

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets};

use crate::Visible;

/// Somebody's text for a cell or a line: what a terminal would obey, not show, is written as escapes, line ends too.
pub fn printable(text: &str) -> String {
    Visible(text).to_string().replace('\n', "\\u000a")
}

/// An empty table: fitted to the terminal's width, or, `plain`, in ASCII and as wide as it is.
pub fn table(plain: bool) -> Table {
    let mut table = Table::new();
    if plain {
        table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    } else {
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        if table.width() == Some(0) {
            table.set_width(UNTOLD);
        }
    }
    table
}

/// Columns of a terminal that says it has none, as serial consoles do.
const UNTOLD: u16 = 80;

/// Columns of a page, for what is wider in a pipe.
const PAGE: u16 = 100;

/// The same for long texts: `plain`, it is fitted to 100 columns, its texts on as many lines as they take.
pub fn page_table(plain: bool) -> Table {
    let mut table = table(plain);
    if plain {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(PAGE);
    }
    table
}

/// Whether every line of a cell has room in the width that `table` is fitted to.
pub fn fits(table: &Table) -> bool {
    let widths = table.column_max_content_widths();
    let needed = widths.iter().copied().map(usize::from).sum::<usize>() + 3 * widths.len() + 1;
    table.width().is_none_or(|width| needed <= usize::from(width))
}

/// Shares the width that `table` is fitted to among its columns so that words stay whole, those of columns with little
/// text first, and columns with much text get the room that is left.
pub fn keep_words(table: &mut Table) {
    /// What columns keep at least, where there is so much for each, when others take what their words need.
    const LEAST: usize = 9;
    let Some(width) = table.width().filter(|_| !fits(table)) else { return };
    let natural: Vec<usize> = table.column_max_content_widths().into_iter().map(usize::from).collect();
    let Some(mut room) = usize::from(width).checked_sub(3 * natural.len() + 1) else { return };
    let columns: Vec<_> = (0..natural.len()).map(|column| Words::of(table, column)).collect();
    let fair = |cap: usize| columns.iter().map(|words| words.longest.min(cap)).collect::<Vec<_>>();
    let cap = (2..=LEAST).rev().find(|&cap| fair(cap).iter().sum::<usize>() <= room).unwrap_or(1);
    let mut widths: Vec<usize> = fair(cap).into_iter().map(|width| width.max(1)).collect();
    room = room.saturating_sub(widths.iter().sum());
    let mut by_text: Vec<usize> = (0..columns.len()).collect();
    by_text.sort_by_key(|&column| columns[column].text);
    for column in by_text {
        let more = columns[column].longest.saturating_sub(widths[column]);
        if more <= room {
            widths[column] += more;
            room -= more;
        }
    }
    for _ in 0..room {
        let wanting = (0..columns.len()).filter(|&column| widths[column] < natural[column]);
        let Some(next) = wanting.max_by_key(|&column| columns[column].text / widths[column]) else { break };
        widths[next] += 1;
    }
    for (column, &width) in table.column_iter_mut().zip(&widths) {
        let width = u16::try_from(width).unwrap_or(u16::MAX).saturating_add(column.padding_width());
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
    if let Some(head) = table.header().map(|head| folded_row(head, &widths)) {
        table.set_header(head);
    }
    table.row_iter_mut().for_each(|row| *row = folded_row(row, &widths));
}

fn folded_row(row: &Row, widths: &[usize]) -> Row {
    row.cell_iter().zip(widths).map(|(cell, &width)| folded(&cell.content(), width)).into()
}

/// `content` in lines of at most `width` characters, 1 or more: broken between words, and words that are longer at a hyphen
/// or the like. The table itself would cut those anywhere.
fn folded(content: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in content.split('\n') {
        let mut current = String::new();
        for word in line.split(' ') {
            let is_full = current.chars().count() + 1 + word.chars().count() > width;
            match current.is_empty() {
                true => {}
                false if is_full => lines.push(mem::take(&mut current)),
                false => current.push(' '),
            }
            let mut rest = word;
            while let Some((end, _)) = rest.char_indices().nth(width) {
                let end = rest[..end].rfind(['-', '/', '+', ',', '_']).map_or(end, |mark| mark + 1);
                lines.push(rest[..end].to_owned());
                rest = &rest[end..];
            }
            current += rest;
        }
        lines.push(current);
    }
    lines.join("\n")
}

/// What stands in a column, in characters.
struct Words {
    longest: usize,
    text: usize,
}

impl Words {
    fn of(table: &Table, column: usize) -> Self {
        let head = table.header().and_then(|head| head.cell_iter().nth(column));
        let cells: Vec<_> =
            table.column_cells_iter(column).flatten().chain(head).map(|cell| cell.content()).collect();
        // At the other kinds of white space, such as the narrow one in 200 000, no line is broken.
        let words = cells.iter().flat_map(|content| content.split([' ', '\n']));
        Self {
            longest: words.map(|word| word.chars().count()).max().unwrap_or(0),
            text: cells.iter().map(|content| content.chars().count()).sum(),
        }
    }
}

/// `text` with its lines broken between words where the terminal ends, and as it is where stdout is none.
pub fn wrapped(text: &str) -> String {
    match Table::new().width().map(|width| if width == 0 { UNTOLD } else { width }) {
        Some(width) => text.lines().map(|line| broken(line, width.into()) + "\n").collect(),
        None => text.to_owned(),
    }
}

/// `line` in lines of at most `width` characters, unless a word is longer; what belongs to a bullet stands behind it.
fn broken(line: &str, width: usize) -> String {
    let indent = if line.starts_with("- ") { "  " } else { "" };
    let mut words = line.split(' ');
    let mut lines = words.next().unwrap_or_default().to_owned();
    let mut column = lines.chars().count();
    for word in words {
        let length = word.chars().count();
        if column + 1 + length > width {
            lines += "\n";
            lines += indent;
            column = indent.len();
        } else {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_broken(line: &str, expected: &str) {
        assert_eq!(broken(line, 12), expected);
    }

    #[test]
    fn a_terminal_is_told_nothing_by_somebodys_text() {
        assert_eq!(printable("a\tb ü"), "a\tb ü");
        assert_eq!(printable("\u{1b}[2J\r\n\u{9b}1A\u{202e}"), "\\u001b[2J\\u000d\\u000a\\u009b1A\\u202e");
    }

    #[test]
    fn sentences_are_broken_between_words() {
        check_broken("", "");
        check_broken("short", "short");
        check_broken("  a   b", "  a   b");
        check_broken("exactly 12 c", "exactly 12 c");
        check_broken("exactly 12 ch", "exactly 12\nch");
        check_broken("a 99 % µs/packet loss", "a 99 %\nµs/packet\nloss");
        check_broken("a-word-that-is-too-long to break", "a-word-that-is-too-long\nto break");
        check_broken("- a bullet has a hanging indent", "- a bullet\n  has a\n  hanging\n  indent");
    }

    fn check_folded(content: &str, expected: &str) {
        assert_eq!(folded(content, 10), expected);
    }

    #[test]
    fn what_is_longer_than_its_column_is_broken_where_it_may_be() {
        check_folded("", "");
        check_folded("two\nlines", "two\nlines");
        check_folded("exactly 10", "exactly 10");
        check_folded("plain simple-socket-filter (aya)", "plain\nsimple-\nsocket-\nfilter\n(aya)");
        check_folded("[173\u{202f}841, 197\u{202f}686]", "[173\u{202f}841,\n197\u{202f}686]");
        check_folded("abcdefghijklmno pq", "abcdefghij\nklmno pq");
    }

    fn check_table(width: u16, whole: &[&str]) {
        let mut table = table(false);
        table.set_width(width).set_header(["", "verdict", "rule"]);
        let rule = "supported where the whole interval lies below one, contradicted where none of it does";
        table.add_row(["T1", "inconclusive", rule]);
        keep_words(&mut table);
        let text = table.to_string();
        whole.iter().for_each(|word| assert!(text.contains(word), "no {word} in\n{text}"));
        assert!(text.lines().all(|line| line.chars().count() <= width.into()), "{text}");
    }

    #[test]
    fn words_of_a_table_stay_whole_where_there_is_room() {
        check_table(200, &["inconclusive", "none of it does"]);
        check_table(60, &["inconclusive", "contradicted"]);
        check_table(36, &["inconclusive", "contradicted"]);
        check_table(34, &["inconclusive"]);
        check_table(24, &["rule"]);
    }
}
