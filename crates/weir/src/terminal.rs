//! Tables on a terminal and in a pipe.

use comfy_table::{ContentArrangement, Table, presets};

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
