//! A list of accounts in a CSV file (RFC 4180), as spreadsheets and directories write them: quoted or not, with commas,
//! semicolons or tabs, with a byte order mark. What is wrong with one line costs no other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::cli::account::check_name;
use crate::cli::exit::{self, Failure};
use crate::cli::kinds::Kinds;
use crate::model::normalise;

/// Some hundred thousand accounts with all that a directory says of them.
const BYTES_MAX: u64 = 64 << 20;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) rows: Vec<Row>,
    /// Lines that cannot be used, and why.
    pub(super) bad: Vec<(u64, String)>,
}

/// One account.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// The line that it begins on.
    pub(super) line: u64,
    pub(super) account: String,
    /// What the file wants for it; `None` if it does not say.
    pub(super) prefer: Option<Kinds>,
}

/// Reads a list.
///
/// # Errors
/// If the file is none.
pub(super) fn read(path: &Path) -> Result<List, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(exit::NOT_FOUND, format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        let message = format!("{} is longer than {} MiB: cut it into parts", path.display(), BYTES_MAX >> 20);
        return Err(Failure::new(exit::DATA, message));
    }
    parse(&bytes).map_err(|why| Failure::new(exit::DATA, format!("{}: {why}", path.display())))
}

fn parse(bytes: &[u8]) -> Result<List, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("it is in UTF-16: save it as CSV in UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|it| (count(head, *it), *it == b','));
    let delimiter = delimiter.unwrap_or(b',');
    let mut records = Records { bytes, delimiter, account: None, at: 0, line: 1 };
    let header = records.next().map(|record| record.fields).unwrap_or_default();
    let column = |name: &str| header.iter().position(|field| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
    let account = column("account").ok_or("its first line must name the columns, one of them \"account\"")?;
    let columns = Columns { account, prefer: column("prefer"), count: header.len() };
    records.account = Some(account);

    let (mut list, mut seen) = (List::default(), HashMap::new());
    for record in records {
        let line = record.line;
        match columns.row(&record) {
            Ok(None) => {}
            Ok(Some(row)) => match seen.entry(normalise(&row.account)) {
                Entry::Vacant(entry) => {
                    entry.insert((line, row.prefer.clone()));
                    list.rows.push(row);
                }
                Entry::Occupied(entry) if entry.get().1 == row.prefer => {}
                Entry::Occupied(entry) => {
                    list.bad
                        .push((line, format!("{} stands in line {}, too, and otherwise", row.account, entry.get().0)));
                }
            },
            Err(why) => list.bad.push((line, why)),
        }
    }
    Ok(list)
}

fn count(text: &[u8], byte: u8) -> usize {
    text.iter().filter(|it| **it == byte).count()
}

/// Where what is wanted stands.
struct Columns {
    account: usize,
    prefer: Option<usize>,
    count: usize,
}

impl Columns {
    /// What a record says; `None` if nothing.
    fn row(&self, record: &Record) -> Result<Option<Row>, String> {
        let fields = &record.fields;
        if record.is_open {
            return Err("a quote is opened and not closed".to_owned());
        }
        if fields.iter().all(|field| field.trim_ascii().is_empty()) {
            return Ok(None);
        }
        if fields.iter().skip(self.count).any(|field| !field.trim_ascii().is_empty()) {
            let (count, expected) = (fields.len(), self.count);
            return Err(format!("it has {count} values where the first line has {expected}; put quotes around a list"));
        }
        let text = |column: usize| {
            let field = fields.get(column).unwrap_or_default();
            std::str::from_utf8(field).map(str::trim).map_err(|_| "it is not in UTF-8".to_owned())
        };
        let account = text(self.account)?;
        if account.is_empty() {
            return Err("it names no account".to_owned());
        }
        let account = check_name(account).map_err(|error| error.to_string())?.to_owned();
        let prefer = self.prefer.map(text).transpose()?.filter(|prefer| !prefer.is_empty());
        let prefer = prefer.map(str::parse).transpose().map_err(|why| format!("what is preferred: {why}"))?;
        Ok(Some(Row { line: record.line, account, prefer }))
    }
}

/// The records of a file.
struct Records<'b> {
    bytes: &'b [u8],
    delimiter: u8,
    /// The column in which no line can end.
    account: Option<usize>,
    at: usize,
    line: u64,
}

struct Record {
    line: u64,
    fields: ByteRecord,
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
        let account = self.account.and_then(|column| fields.get(column)).unwrap_or_default();
        let goes_on = first < end || end == rest.len() && !rest.ends_with(b"\n");
        let is_open = goes_on && (count(&rest[..end], b'"') % 2 == 1 || account.contains(&b'\n'));
        let end = if is_open { first } else { end };
        let line = self.line;
        self.line += count(&rest[..end], b'\n') as u64;
        self.at += end;
        Some(Record { line, fields, is_open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CredentialKind::{AppPassword, OAuth2};

    fn row(line: u64, account: &str, prefer: Option<&[crate::model::CredentialKind]>) -> Row {
        Row { line, account: account.to_owned(), prefer: prefer.map(|kinds| Kinds(kinds.to_vec())) }
    }

    #[test]
    fn lists_are_read_as_programs_write_them() {
        for text in [
            "account,prefer\na@x.test,oauth2\nb@x.test,\"oauth2,app-password\"\nc@x.test,\n",
            "\u{feff}Account;Prefer\r\na@x.test;oauth2\r\nb@x.test;oauth2,app-password\r\nc@x.test;\r\n",
            "\"ACCOUNT\"\t\"prefer\"\n\"a@x.test\"\t\"oauth2\"\n \"b@x.test\" \toauth2 app-password\nc@x.test",
        ] {
            let text = text.replace(" \"b@x.test\" ", " b@x.test ");
            let List { rows, bad } = parse(text.as_bytes()).unwrap();
            assert_eq!(bad, [], "{text}");
            let expected = [
                row(2, "a@x.test", Some(&[OAuth2])),
                row(3, "b@x.test", Some(&[OAuth2, AppPassword])),
                row(4, "c@x.test", None),
            ];
            assert_eq!(rows, expected, "{text}");
        }
    }

    #[test]
    fn columns_are_found_by_name_and_others_are_passed_over() {
        let text =
            "Name,account,Notes\n\"Scanner, 3rd floor\",scan@x.test,\"two\nlines\"\n\n,,\nPrinter,print@x.test,\n";
        let List { rows, bad } = parse(text.as_bytes()).unwrap();
        assert_eq!((rows, bad), (vec![row(2, "scan@x.test", None), row(6, "print@x.test", None)], vec![]));
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_and_costs_no_other() {
        let text = b"account,prefer\n\
            a@x.test,oauth2\n\
            \"b@x.test,oauth2\n\
            c@x.test,oauth3\n\
            ,oauth2\n\
            d@x.test,oauth2,app-password\n\
            \xe4@x.test,oauth2\n\
            A@x.test,oauth2\n\
            a@x.test,app-password\n\
            e\x1b@x.test,oauth2\n\
            \"f@x.test\",\"none\"\n\
            \"g@x.test,oauth2";
        let List { rows, bad } = parse(text).unwrap();
        assert_eq!(rows, [row(2, "a@x.test", Some(&[OAuth2])), row(11, "f@x.test", Some(&[]))]);
        let bad: Vec<(u64, &str)> =
            bad.iter().map(|(line, why)| (*line, why.split([',', ':', ';']).next().unwrap())).collect();
        assert_eq!(
            bad,
            [
                (3, "a quote is opened and not closed"),
                (4, "what is preferred"),
                (5, "it names no account"),
                (6, "it has 3 values where the first line has 2"),
                (7, "it is not in UTF-8"),
                (9, "a@x.test stands in line 2"),
                (10, "a name must not be empty or contain control characters"),
                (12, "a quote is opened and not closed"),
            ]
        );
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [&b""[..], b"\n\n", b"a@x.test,oauth2\n", b"{\"account\": 1}", b"\xef\xbb\xbf"] {
            assert!(parse(text).unwrap_err().contains("one of them \"account\""), "{text:?}");
        }
        assert!(parse(b"\xff\xfea\0").unwrap_err().contains("UTF-16"));
    }
}
