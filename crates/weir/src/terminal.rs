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
