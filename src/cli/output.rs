//! What the program prints. A reader that went away (`locum account list | head`) is no error.

use std::fmt::Display;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// A line of the result.
pub(super) fn line(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A remark, not part of the result.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The result as JSON.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// The result as a table; `empty` where there is nothing to show.
pub(super) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, empty: &str) {
    if rows.is_empty() {
        return note(empty);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    line(table.trim_fmt());
}
