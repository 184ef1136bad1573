//! CSV files (RFC 4180) as spreadsheets and directories write them: quoted or not, with commas, semicolons or tabs, with a
//! byte order mark. What is wrong with one record costs no other. It must never quote what stands in a file: that may be a
//! secret.

use std::fmt::Display;
use std::io::Read;

use csv::{ByteRecord, ReaderBuilder};
use zeroize::Zeroizing;

use super::exit::{self, Failure};

/// Some hundred thousand accounts with all that a directory says of them.
const BYTES_MAX: u64 = 64 << 20;

/// Reads all of it. `name` is what it is called.
pub(super) fn read(from: impl Read, name: &impl Display) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let failed = |error| Failure::new(exit::NOT_FOUND, format!("cannot read {name}: {error}"));
    from.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        let message = format!("{name} is longer than {} MiB: cut it into parts", BYTES_MAX >> 20);
        return Err(Failure::new(exit::DATA, message));
    }
    Ok(bytes)
}

/// A file whose first line names the columns.
pub(super) struct Table<'b> {
    header: ByteRecord,
    records: Records<'b>,
}

impl<'b> Table<'b> {
    /// # Errors
    /// If it is in an encoding that no CSV file should be in.
    pub(super) fn of(bytes: &'b [u8]) -> Result<Self, String> {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err("it is in UTF-16: save it as CSV in UTF-8".to_owned());
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let head = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|it| (count(head, *it), *it == b','));
        let delimiter = delimiter.unwrap_or(b',');
        let mut records = Records { bytes, delimiter, width: 0, one_line: Vec::new(), at: 0, line: 1 };
        let header = records.next().map(|record| record.fields).unwrap_or_default();
        records.width = header.len();
        Ok(Self { header, records })
    }

    /// The column that has one of these names.
    ///
    /// # Errors
    /// If there are several.
    pub(super) fn column(&self, names: &[&str]) -> Result<Option<usize>, String> {
        let is_it = |field: &[u8]| names.iter().any(|name| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
        let mut found = self.header.iter().enumerate().filter(|(_, field)| is_it(field)).map(|(column, _)| column);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(format!("its first line names more than one column {}", names.join(" or "))),
            (column, None) => Ok(column),
        }
    }

    /// Says which columns nobody reads, by number: what they are called stands in the file.
    pub(super) fn passed_over(&self, read: &[usize]) -> Option<String> {
        let is_passed_over = |(column, name): &(usize, &[u8])| !name.trim_ascii().is_empty() && !read.contains(column);
        let columns: Vec<String> =
            self.header.iter().enumerate().filter(is_passed_over).map(|(column, _)| (column + 1).to_string()).collect();
        (!columns.is_empty()).then(|| format!("note: what stands in column {} is not looked at", columns.join(", ")))
    }

    /// The records. In those columns no line can end.
    pub(super) fn records(self, one_line: &[usize]) -> Records<'b> {
        Records { one_line: one_line.to_vec(), ..self.records }
    }
}

impl Record {
    /// Whether nothing stands in it.
    ///
    /// # Errors
    /// If it does not fit the first line.
    pub(super) fn is_blank(&self) -> Result<bool, String> {
        if self.is_open {
            return Err("a quote is opened and not closed".to_owned());
        }
        let is_empty = |field: &[u8]| field.trim_ascii().is_empty();
        if self.fields.iter().skip(self.width).any(|field| !is_empty(field)) {
            let (count, expected) = (self.fields.len(), self.width);
            return Err(format!(
                "it has {count} values where the first line has {expected}; put quotes around what has commas in it"
            ));
        }
        Ok(self.fields.iter().all(is_empty))
    }

    /// What stands in a column, without the blanks around it.
    ///
    /// # Errors
    /// If it is no text.
    pub(super) fn text(&self, column: usize) -> Result<&str, String> {
        let field = self.fields.get(column).unwrap_or_default();
        std::str::from_utf8(field).map(str::trim).map_err(|_| "it is not in UTF-8".to_owned())
    }
}

fn count(text: &[u8], byte: u8) -> usize {
    text.iter().filter(|it| **it == byte).count()
}

/// The records behind the first line.
pub(super) struct Records<'b> {
    bytes: &'b [u8],
    delimiter: u8,
    /// How many columns the first line names.
    width: usize,
    /// The columns in which no line can end.
    one_line: Vec<usize>,
    at: usize,
    line: u64,
}

/// One record.
pub(super) struct Record {
    /// The line that it begins on.
    pub(super) line: u64,
    fields: ByteRecord,
    width: usize,
    /// Whether its first line opens a quote by mistake. Such a quote would eat up the lines behind it, to the next one or
    /// the end, so the record ends with that line.
    is_open: bool,
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        // Blank lines are passed over by the reader, which then counts them as the record's.
        while let [b'\n' | b'\r', ..] = &self.bytes[self.at..] {
            self.line += u64::from(self.bytes[self.at] == b'\n');
            self.at += 1;
        }
        let rest = &self.bytes[self.at..];
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(self.delimiter).buffer_capacity(1 << 10);
        let (mut reader, mut fields) = (reader.from_reader(rest), ByteRecord::new());
        // Reading from memory does not fail, and a record may have any length.
        if rest.is_empty() || !reader.read_byte_record(&mut fields).unwrap_or(false) {
            return None;
        }
        let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX).min(rest.len());
        let first = rest[..end].iter().position(|byte| *byte == b'\n').map_or(end, |at| at + 1);
        let runs_on = self.one_line.iter().any(|column| fields.get(*column).is_some_and(|it| it.contains(&b'\n')));
        let goes_on = first < end || end == rest.len() && !rest.ends_with(b"\n");
        let is_open = goes_on && (count(&rest[..end], b'"') % 2 == 1 || runs_on);
        let end = if is_open { first } else { end };
        let line = self.line;
        self.line += count(&rest[..end], b'\n') as u64;
        self.at += end;
        Some(Record { line, fields, width: self.width, is_open })
    }
}
