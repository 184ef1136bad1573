//! Results as CSV (RFC 4180) on standard output, for spreadsheets. No cell is taken for a formula there, and none holds a
//! control character: names come from whoever logs in.

use std::borrow::Cow;

use anyhow::Result;
use csv::{Terminator, WriterBuilder};

use super::output;

/// Rows of `N` columns.
pub(super) fn print<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Result<()> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| as_text(cell).into_owned()))?;
    }
    let text = String::from_utf8(writer.into_inner()?)?;
    // What prints it ends the last line.
    output::line(text.strip_suffix('\n').unwrap_or(&text));
    Ok(())
}

/// A field that no spreadsheet takes for a formula, and that has one line.
pub(super) fn as_text(field: &str) -> Cow<'_, str> {
    let is_formula = field.trim_start().starts_with(['=', '+', '-', '@']) || field.starts_with(['\t', '\r', '\n']);
    let field = match field.contains(char::is_control) {
        true => Cow::Owned(field.replace(char::is_control, "")),
        false => Cow::Borrowed(field),
    };
    if is_formula { Cow::Owned(format!("'{field}")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cell_is_a_formula_or_another_line() {
        for (text, cell) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\t=1", "'=1"),
            ("a\r\nb\u{1b}[31m", "ab[31m"),
            ("scan@x.test", "scan@x.test"),
            ("", ""),
        ] {
            assert_eq!(as_text(text), cell, "{text:?}");
        }
    }
}
