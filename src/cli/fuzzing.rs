//! Doors to what only this room sees, for the fuzz targets (`tests/fuzz`). A release has none of them. It must hold nothing
//! but doors.

use super::csv_file::Table;
use super::import;

/// A CSV file: its records by line, each with what is wrong with it, or the texts in the first columns.
///
/// # Errors
/// If it cannot be read at all.
#[expect(clippy::type_complexity, reason = "a door has no types of its own")]
pub fn csv(bytes: &[u8], names: &[&str]) -> Result<Vec<(u64, Result<Vec<String>, String>)>, String> {
    let table = Table::of(bytes)?;
    let columns = names.iter().map(|name| table.column(&[name])).collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<usize> = columns.into_iter().flatten().collect();
    let _ = table.passed_over(&columns);
    let read = |record: super::csv_file::Record| {
        let texts = || columns.iter().map(|column| record.text(*column).map(str::to_owned)).collect();
        (record.line, record.is_blank().and_then(|_| texts()))
    };
    Ok(table.records(&columns).map(read).collect())
}

/// An LDIF file: its entries by line with the values of two attributes, and the lines that cannot be read.
#[expect(clippy::type_complexity, reason = "a door has no types of its own")]
pub fn ldif(bytes: &[u8]) -> (Vec<(u64, usize)>, Vec<(u64, String)>) {
    let _ = import::is_ldif(bytes);
    let (entries, bad) = import::entries(bytes);
    let count = |entry: &import::Entry| {
        ["uid", "userPassword"].iter().map(|name| entry.texts(name).map_or(0, |texts| texts.len())).sum()
    };
    (entries.iter().map(|entry| (entry.line, count(entry))).collect(), bad)
}
