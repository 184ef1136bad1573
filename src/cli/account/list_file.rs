//! A list of accounts in a CSV file, and what is preferred for them. What is wrong with one line costs no other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::path::Path;

use crate::cli::csv_file::{self, Record, Table};
use crate::cli::exit::{self, Failure};
use crate::cli::kinds::Kinds;
use crate::management::check_name;
use crate::model::normalise;

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
    let file = File::open(path)
        .map_err(|error| Failure::new(exit::NOT_FOUND, format!("cannot read {}: {error}", path.display())))?;
    let bytes = csv_file::read(file, &path.display())?;
    parse(&bytes).map_err(|why| Failure::new(exit::DATA, format!("{}: {why}", path.display())))
}

fn parse(bytes: &[u8]) -> Result<List, String> {
    let table = Table::of(bytes)?;
    let account = table.column(&["account"])?.ok_or("its first line must name the columns, one of them \"account\"")?;
    let columns = Columns { account, prefer: table.column(&["prefer"])? };

    let (mut list, mut seen) = (List::default(), HashMap::new());
    for record in table.records(&[account]) {
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

/// Where what is wanted stands.
struct Columns {
    account: usize,
    prefer: Option<usize>,
}

impl Columns {
    /// What a record says; `None` if nothing.
    fn row(&self, record: &Record) -> Result<Option<Row>, String> {
        if record.is_blank()? {
            return Ok(None);
        }
        let account = record.text(self.account)?;
        if account.is_empty() {
            return Err("it names no account".to_owned());
        }
        let account = check_name(account).map_err(|error| error.to_string())?.to_owned();
        let prefer = self.prefer.map(|column| record.text(column)).transpose()?.filter(|prefer| !prefer.is_empty());
        let prefer = prefer.map(str::parse).transpose().map_err(|why| format!("what is preferred: {why}"))?;
        Ok(Some(Row { line: record.line, account, prefer }))
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
