//! `locum client import`: clients and their hashed secrets, from another system's list. It must never quote a hash, nor do
//! anything before all of the file has been read.

use std::path::PathBuf;

use anyhow::Result;

use super::parse_time;
use crate::broker::DirectoryError;
use crate::broker::client_secret::ChosenHash;
use crate::cli::csv_file::{Record, Table};
use crate::cli::exit::{self, Failure};
use crate::cli::import::{self, Entry, Planned, Source};
use crate::cli::output;
use crate::management::clients::{self, Bindings, Proof};
use crate::management::{Desk, check_label, check_new_name};
use crate::model::Client;
use crate::store::Version;

/// Accounts that one row names: more is a column that is not what it is taken for.
const ACCOUNTS_MAX: usize = 32;

#[derive(Debug, clap::Args)]
#[command(after_long_help = import::EXIT_CODES)]
pub(in crate::cli) struct Import {
    /// The file; `-` for standard input. CSV, whose first line names the columns: `login` and `hash`, and if wanted
    /// `account` (several with blanks between them), `label` and `expires`. Or LDIF, with the hashes in `userPassword`.
    /// Hashes: argon2id, bcrypt, SHA-crypt, {SSHA} and its kin, with or without Dovecot's prefixes. Nobody but its owner may
    /// be able to read it.
    file: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Let clients have several accounts; they must then name one at each login, which only SASL PLAIN can.
    #[arg(long)]
    several: bool,
    /// In LDIF, the attribute with the login name; where an entry has none, the one with its account.
    #[arg(long, value_name = "NAME", default_value = "uid")]
    login_attribute: String,
    /// In LDIF, the attribute with the account. Of several values, those that are accounts count.
    #[arg(long, value_name = "NAME", default_value = "mail")]
    account_attribute: String,
}

/// What a file says.
#[derive(Debug, Default)]
struct List {
    rows: Vec<Row>,
    /// Lines that cannot be used, and why.
    bad: Vec<(u64, String)>,
    /// Which columns mean nothing here: one that should bound the client must not be taken to do so.
    passed_over: Option<String>,
}

/// One secret of one client.
#[derive(Debug)]
struct Row {
    line: u64,
    wish: clients::Row,
}

pub(super) async fn run(desk: &Desk, arguments: Import) -> Result<()> {
    let path = &arguments.file;
    import::check_private(path, "hashes of passwords")?;
    let bytes = import::read(path)?;
    let list = if import::is_ldif(&bytes) { of_ldif(&bytes, &arguments) } else { of_csv(&bytes) };
    let list = list.map_err(|why| Failure::new(exit::DATA, format!("{}: {why}", path.display())))?;
    let List { rows, bad, passed_over } = list;
    if let Some(note) = passed_over {
        output::note(note);
    }
    let rows = import::all_usable(path, rows, &bad)?;
    let groups = clients::rows_of_one(rows, |row| &row.wish.login);
    let check = async |rows| check(desk, rows, arguments.several).await;
    let write = async |(client, version): (Client, Option<Version>)| {
        desk.directory.put_client(&client, version).await.map(drop)
    };
    arguments.source.import(path, "secrets of clients", groups, check, write).await
}

/// What becomes of the rows of one client.
async fn check(
    desk: &Desk,
    rows: Vec<Row>,
    several: bool,
) -> Result<Planned<(Client, Option<Version>)>, DirectoryError> {
    let named: Vec<(u64, String)> = rows.iter().map(|row| (row.line, row.wish.login.clone())).collect();
    let wishes = rows.into_iter().map(|row| row.wish).collect();
    let clients::Planned { outcomes, write } = clients::plan(desk, wishes, several).await?;
    let told = |((line, name), outcome)| import::Row { line, name, outcome };
    Ok(Planned { rows: named.into_iter().zip(outcomes).map(told).collect(), write })
}

fn of_csv(bytes: &[u8]) -> Result<List, String> {
    let table = Table::of(bytes)?;
    let none = "its first line must name the columns, \"login\" and \"hash\" among them";
    let columns = Columns {
        login: table.column(&["login", "user", "username", "uid"])?.ok_or(none)?,
        hash: table.column(&["hash", "password", "userpassword"])?.ok_or(none)?,
        accounts: table.column(&["account", "accounts", "mail"])?,
        label: table.column(&["label"])?,
        expires: table.column(&["expires"])?,
    };
    let read = [Some(columns.login), Some(columns.hash), columns.accounts, columns.label, columns.expires];
    let passed_over = table.passed_over(&read.into_iter().flatten().collect::<Vec<_>>());
    let mut list = List { passed_over, ..List::default() };
    for record in table.records(&[columns.login, columns.hash]) {
        match columns.row(&record) {
            Ok(None) => {}
            Ok(Some(row)) => list.rows.push(row),
            Err(why) => list.bad.push((record.line, why)),
        }
    }
    Ok(list)
}

/// Where what is wanted stands.
struct Columns {
    login: usize,
    hash: usize,
    accounts: Option<usize>,
    label: Option<usize>,
    expires: Option<usize>,
}

impl Columns {
    /// What a record says; `None` if nothing.
    fn row(&self, record: &Record) -> Result<Option<Row>, String> {
        // First, since its other parts are values too many.
        if record.text(self.hash).is_ok_and(|hash| hash.contains("$argon2") && !hash.contains(',')) {
            return Err(in_column("hash", "it ends at its first comma: put quotes around a hash of argon2id"));
        }
        if record.is_blank()? {
            return Ok(None);
        }
        let text = |at: Option<usize>, what: &str| match at {
            Some(at) => record.text(at).map_err(|why| in_column(what, why)),
            None => Ok(""),
        };
        let login = name_of(text(Some(self.login), "login")?, "login")?;
        let hash = hash_of(text(Some(self.hash), "hash")?, "hash")?;
        let names = text(self.accounts, "account")?.split([' ', ',', ';', '|']).filter(|name| !name.is_empty());
        let names = names.map(|name| name_of(name, "account")).collect::<Result<Vec<_>, _>>()?;
        if names.len() > ACCOUNTS_MAX {
            return Err(in_column("account", format!("it names more than {ACCOUNTS_MAX} accounts")));
        }
        let bindings = if names.is_empty() { Bindings::Any(vec![login.clone()]) } else { Bindings::All(names) };
        let label = check_label(text(self.label, "label")?).map_err(|why| in_column("label", why))?.to_owned();
        let expires = Some(text(self.expires, "expires")?).filter(|text| !text.is_empty());
        let expires = expires.map(parse_time).transpose().map_err(|why| in_column("expires", why))?;
        let wish = clients::Row { login, bindings, proof: Proof::Hash(hash), label, expires };
        Ok(Some(Row { line: record.line, wish }))
    }
}

fn of_ldif(bytes: &[u8], arguments: &Import) -> Result<List, String> {
    let (entries, mut bad) = import::entries(bytes);
    let mut rows = Vec::new();
    for entry in &entries {
        match of_entry(entry, arguments) {
            Ok(found) => rows.extend(found),
            Err(why) => bad.push(why),
        }
    }
    bad.sort();
    Ok(List { rows, bad, passed_over: None })
}

/// A row for each hash that an entry has. One without any is of something else than a person.
fn of_entry(entry: &Entry, arguments: &Import) -> Result<Vec<Row>, (u64, String)> {
    let (login_attribute, account_attribute) = (&arguments.login_attribute, &arguments.account_attribute);
    let hashes = entry.texts("userPassword")?;
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    let (logins, mails) = (entry.texts(login_attribute)?, entry.texts(account_attribute)?);
    let Some((line, login)) = logins.first().or(mails.first()) else {
        let why = format!("the entry has neither {login_attribute} nor {account_attribute} to be its login name");
        return Err((entry.line, why));
    };
    let login = name_of(login, login_attribute).map_err(|why| (*line, why))?;
    let mut names = Vec::new();
    for (line, mail) in mails.iter().take(ACCOUNTS_MAX) {
        names.push(name_of(mail, account_attribute).map_err(|why| (*line, why))?);
    }
    let mut rows = Vec::new();
    for (line, hash) in hashes {
        let proof = Proof::Hash(hash_of(hash, "userPassword").map_err(|why| (line, why))?);
        let bindings = Bindings::Any(if names.is_empty() { vec![login.clone()] } else { names.clone() });
        let wish = clients::Row { login: login.clone(), bindings, proof, label: String::new(), expires: None };
        rows.push(Row { line, wish });
    }
    Ok(rows)
}

fn name_of(text: &str, column: &str) -> Result<String, String> {
    check_new_name(text).map(str::to_owned).map_err(|why| in_column(column, why))
}

fn hash_of(text: &str, column: &str) -> Result<ChosenHash, String> {
    ChosenHash::parse(text).map_err(|why| in_column(column, why))
}

fn in_column(column: &str, why: impl std::fmt::Display) -> String {
    format!("column {column}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "{SSHA}eJ6KEIjkUqAMpAT1twwd4l50VdjhZ9bu";

    #[test]
    fn all_that_is_wrong_is_told_by_line_and_column_and_nothing_is_quoted() {
        let text = format!(
            "login,hash,account,label,expires\n\
             a,{HASH},a@x.test b@x.test,door,2030-01-31T00:00:00Z\n\
             ,{HASH},,,\n\
             b,canary,,,\n\
             c,{{SSHA}}canary,,,\n\
             d,$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW,,,\n\
             e,{HASH},,,tomorrow\n\
             f,{HASH},,lab\x1bel,\n\
             g,$argon2id$v=19$m=19456,t=2,p=1$canarycanary,x@x.test,door,\n\
             h,{HASH},,,\n"
        );
        let List { rows, bad, .. } = of_csv(text.as_bytes()).unwrap();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 10]);
        assert!(matches!(&rows[0].wish.bindings, Bindings::All(names) if names.len() == 2));
        assert!(matches!(&rows[1].wish.bindings, Bindings::Any(names) if *names == ["h"]));
        let why: Vec<_> = bad.iter().map(|(line, why)| (*line, why.split([';', '(']).next().unwrap())).collect();
        assert_eq!(
            why,
            [
                (3, "column login: a name must not be empty or contain control characters"),
                (4, "column hash: it is no hash that can be checked here: take argon2id "),
                (5, "column hash: it begins as {SSHA} and is damaged"),
                (6, "column hash: it costs too much to check: its cost is 31, and no more than 13 is allowed"),
                (7, "column expires: expected a time such as 2027-01-31T00:00:00Z"),
                (8, "column label: a label must not be longer than 200 characters or contain control characters"),
                (9, "column hash: it ends at its first comma: put quotes around a hash of argon2id"),
            ]
        );
        assert!(!format!("{bad:?} {rows:?}").contains("canary"));
        for text in ["", "login,account\n", "hash\n"] {
            assert!(of_csv(text.as_bytes()).unwrap_err().contains("\"login\" and \"hash\""));
        }
    }

    #[test]
    fn an_entry_of_a_directory_is_a_client() {
        let text = format!(
            "dn: ou=people\nou: people\n\ndn: uid=a\nuid: a\nmail: a@x.test\nmail: aa@x.test\nuserPassword: {HASH}\n\n\
             dn: cn=b\nmail: b@x.test\nuserPassword: {HASH}\nuserPassword: canary\n\ndn: cn=c\nuserPassword: {HASH}\n"
        );
        let arguments = Import {
            file: PathBuf::new(),
            source: Source::default(),
            several: false,
            login_attribute: "uid".into(),
            account_attribute: "mail".into(),
        };
        let List { rows, bad, .. } = of_ldif(text.as_bytes(), &arguments).unwrap();
        assert_eq!(rows.iter().map(|row| (row.line, row.wish.login.as_str())).collect::<Vec<_>>(), [(8, "a")]);
        let why: Vec<_> = bad.iter().map(|(line, why)| (*line, why.split(':').next().unwrap())).collect();
        let lost = "the entry has neither uid nor mail to be its login name";
        assert_eq!(why, [(13, "column userPassword"), (15, lost)]);
        assert!(!format!("{bad:?}").contains("canary"));
    }
}
