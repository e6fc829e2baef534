//! Tables and sentences on a terminal and in a pipe.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

/// An empty table: fitted to the terminal's width, or, `plain`, in ASCII and as wide as it is.
pub fn table(plain: bool) -> Table {
    let mut table = Table::new();
    if plain {
        table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    } else {
        table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

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

/// Keeps the words of `table` whole where it is fitted to a width that has room for each column's longest.
pub fn keep_words(table: &mut Table) {
    const FRAME_AND_PADDING: u16 = 3;
    let Some(room) = table.width() else { return };
    let longest: Vec<u16> = (0..table.column_count()).map(|column| longest_word(table, column)).collect();
    if longest.iter().map(|word| word.saturating_add(FRAME_AND_PADDING)).sum::<u16>() < room {
        for (column, word) in table.column_iter_mut().zip(longest) {
            let least = Width::Fixed(word + column.padding_width());
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
        }
    }
}

fn longest_word(table: &Table, column: usize) -> u16 {
    let head = table.header().and_then(|head| head.cell_iter().nth(column));
    let cells = table.column_cells_iter(column).flatten().chain(head);
    let words = cells.flat_map(|cell| {
        let content = cell.content();
        content.split_whitespace().map(|word| word.chars().count()).max()
    });
    words.max().unwrap_or(0).try_into().unwrap_or(u16::MAX / 64)
}

/// `text` with its lines broken between words where the terminal ends, and as it is where stdout is none.
pub fn wrapped(text: &str) -> String {
    match Table::new().width() {
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

    fn check_table(width: u16, expected: bool) {
        let mut table = table(false);
        table.set_width(width).set_header(["verdict", "rule"]);
        table.add_row(["inconclusive", "supported where the whole interval lies below one, and so on"]);
        keep_words(&mut table);
        let text = table.to_string();
        assert_eq!(text.contains("inconclusive"), expected, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= width.into()), "{text}");
    }

    #[test]
    fn words_of_a_table_stay_whole_where_there_is_room() {
        check_table(32, true);
        check_table(16, false);
    }
}
