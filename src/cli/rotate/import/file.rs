//! The file of new app passwords: a CSV file that holds secrets. It must never be quoted: what stands in the wrong column
//! may be a password.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use crate::cli::csv_file::{Record, Table};
use crate::cli::exit::{self, Failure};
use crate::cli::import;
use crate::credential;
use crate::management::{check_label, check_name};
use crate::model::{AppPasswordFormat, Secret, normalise};
use crate::rotation::batch::Row;
use jiff::Timestamp;

/// What a column of secrets may be called.
const SECRET: &[&str] = &["secret", "app-password", "password"];

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) rows: Vec<Row>,
    /// Lines that cannot be used, and why.
    pub(super) bad: Vec<(u64, String)>,
}

/// Reads the file of that name.
///
/// # Errors
/// If it is none, or others than its owner can read it.
pub(super) fn read(path: &Path) -> Result<List, Failure> {
    import::check_private(path, "passwords")?;
    let bytes = import::read(path)?;
    parse(&bytes).map_err(|why| Failure::new(exit::DATA, format!("{}: {why}", path.display())))
}

fn parse(bytes: &[u8]) -> Result<List, String> {
    let table = Table::of(bytes)?;
    let none = "its first line must name the columns, \"account\" and \"secret\" among them";
    let columns = Columns {
        account: table.column(&["account"])?.ok_or(none)?,
        secret: table.column(SECRET)?.ok_or(none)?,
        label: table.column(&["label"])?,
        upstream: table.column(&["upstream"])?,
    };
    let (mut list, mut seen) = (List::default(), HashMap::new());
    for record in table.records(&[columns.account, columns.secret]) {
        let line = record.line;
        let row = match columns.row(&record) {
            Ok(None) => continue,
            Ok(Some(row)) => row,
            Err(why) => {
                list.bad.push((line, why));
                continue;
            }
        };
        match seen.entry(normalise(&row.account)) {
            Entry::Vacant(entry) => {
                entry.insert(line);
                list.rows.push(row);
            }
            Entry::Occupied(entry) => {
                list.bad.push((line, format!("its account stands in line {}, too", entry.get())));
            }
        }
    }
    Ok(list)
}

/// Where what is wanted stands.
struct Columns {
    account: usize,
    secret: usize,
    label: Option<usize>,
    upstream: Option<usize>,
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
        let secret = Secret::new(record.text(self.secret)?);
        // How the provider writes its passwords is not known yet; what is no password anywhere is seen all the same.
        let format = AppPasswordFormat::Verbatim;
        credential::new_app_password(&secret, format, String::new(), "", Timestamp::UNIX_EPOCH)
            .map_err(|error| error.to_string())?;
        let optional = |column: Option<usize>| column.map(|column| record.text(column)).transpose();
        let label = optional(self.label)?.filter(|label| !label.is_empty());
        let label = label.map(check_label).transpose().map_err(|error| error.to_string())?.unwrap_or_default();
        let label = label.to_owned();
        let upstream = optional(self.upstream)?.filter(|upstream| !upstream.is_empty()).map(str::to_owned);
        Ok(Some(Row { line: record.line, account, secret, label, upstream }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<(u64, String, String, String, Option<String>)> {
        let List { rows, bad } = parse(text.as_bytes()).unwrap();
        assert_eq!(bad, [], "{text}");
        let secret = |row: &Row| row.secret.expose_text().unwrap().to_owned();
        rows.into_iter().map(|row| (row.line, row.account.clone(), secret(&row), row.label, row.upstream)).collect()
    }

    #[test]
    fn files_are_read_as_programs_write_them() {
        let gmail = Some("gmail".to_owned());
        let expected = [
            (2, "a@x.test".to_owned(), "abcd efgh".to_owned(), "scan, 3rd floor".to_owned(), gmail),
            (3, "b@x.test".to_owned(), "p;w\"x".to_owned(), String::new(), None),
        ];
        for text in [
            "account,secret,label,upstream\na@x.test,abcd efgh,\"scan, 3rd floor\",gmail\nb@x.test,p;w\"x,,\n",
            "\u{feff}Account,App-Password,Label,Upstream\r\na@x.test, abcd efgh ,\"scan, 3rd floor\",gmail\r\n\
             b@x.test,\"p;w\"\"x\",,\r\n\r\n",
            "label\tpassword\tACCOUNT\tupstream\nscan, 3rd floor\tabcd efgh\ta@x.test\tgmail\n\tp;w\"x\tb@x.test\t\n",
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
        assert_eq!(seen("account,secret\na,s\n")[0], (2, "a".into(), "s".into(), String::new(), None));
    }

    #[test]
    fn all_that_is_wrong_is_told_by_line_and_nothing_is_quoted() {
        let text = b"account,secret,label\n\
            a@x.test,canary,\n\
            A@X.test,canary,\n\
            ,canary,\n\
            b@x.test,,\n\
            c@x.test,canary,x,canary\n\
            \"d@x.test,canary,\n\
            e@x.test,can\x01ary,\n\
            f@x.test,canary,lab\x1bel canary\n\
            canary;g@x.test\n\
            h@x.test,canary\xff,\n\
            i@x.test,\"canary\n\
            j@x.test,last,";
        let List { rows, bad } = parse(text).unwrap();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 13]);
        let why: Vec<(u64, &str)> =
            bad.iter().map(|(line, why)| (*line, why.split([',', ';']).next().unwrap())).collect();
        assert_eq!(
            why,
            [
                (3, "its account stands in line 2"),
                (4, "it names no account"),
                (5, "the app password is empty"),
                (6, "it has 4 values where the first line has 3"),
                (7, "a quote is opened and not closed"),
                (8, "the app password contains a control character or a line break"),
                (9, "a label must not be longer than 200 characters or contain control characters"),
                (10, "the app password is empty"),
                (11, "it is not in UTF-8"),
                (12, "a quote is opened and not closed"),
            ]
        );
        assert!(!format!("{bad:?} {rows:?}").contains("canary"));
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        for text in ["", "a@x.test,canary\n", "account\na\n", "account,login\n", "secret\ncanary\n"] {
            let why = parse(text.as_bytes()).unwrap_err();
            assert!(why.contains("\"account\" and \"secret\"") && !why.contains("canary"), "{text}: {why}");
        }
        let why = parse(b"account,secret,password\na,b,c\n").unwrap_err();
        assert_eq!(why, "its first line names more than one column secret or app-password or password");
    }
}
