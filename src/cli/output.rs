//! What the program prints. A reader that went away (`locum account list | head`) is no error; anything else that loses
//! a result is.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde::Serialize;

/// Why part of the result was lost, if it was.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// A line of the result.
pub(super) fn line(text: impl Display) {
    write(text, |error| error.kind() != ErrorKind::BrokenPipe);
}

/// A line that cannot be had again: it is lost, too, if the reader went away.
pub(super) fn once(text: impl Display) {
    write(text, |_| true);
}

fn write(text: impl Display, is_loss: impl FnOnce(&io::Error) -> bool) {
    let mut stdout = io::stdout();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush())
        && is_loss(&error)
    {
        let _ = LOST.set(error); // the first is the one to tell of
    }
}

/// Why part of the result was lost: the disk behind it is full, for one.
pub(super) fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// A remark, not part of the result.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A time as people read it; JSON has it in full.
pub(super) fn minute(time: Timestamp) -> impl Display {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The day of a time, for tables.
pub(super) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
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
