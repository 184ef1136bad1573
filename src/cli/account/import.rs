//! `locum account import`: many new accounts, from a CSV file that may hold their app passwords. It must never quote what
//! stands there, nor do anything before all of the file has been read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use anyhow::Result;
use jiff::Timestamp;

use crate::broker::{Directory, DirectoryError, client_secret};
use crate::cli::csv_file::{Record, Table};
use crate::cli::exit::{self, Failure};
use crate::cli::import::{self, Planned, Row, Source};
use crate::cli::output;
use crate::credential;
use crate::management::accounts::{empty, is_same, password_of, profile_of};
use crate::management::credentials::authority;
use crate::management::import::Outcome;
use crate::management::{Desk, check_label, check_new_name};
use crate::model::{Account, CredentialKind, Identity, Protocol, Secret, Slots, normalise};

/// What a column of app passwords may be called.
const SECRET: &[&str] = &["secret", "app-password", "password"];

#[derive(Debug, clap::Args)]
#[command(after_long_help = import::EXIT_CODES)]
pub(in crate::cli) struct Import {
    /// The file; `-` for standard input. CSV, whose first line names the columns: `account`, and if wanted `upstream`,
    /// `secret` (or `app-password`, or `password`), `label`, which the password bears in the provider's portal, and the
    /// names to log in upstream with, `identity`, `identity-imap`, `identity-pop3` and `identity-submission`. An account
    /// without a secret uses OAuth2. With secrets in it, nobody but its owner may be able to read it.
    file: PathBuf,
    #[command(flatten)]
    source: Source,
    /// The upstream of those for which the file names none.
    #[arg(long)]
    upstream: Option<String>,
}

/// What a file says.
#[derive(Debug, Default)]
struct List {
    /// Each with its line.
    accounts: Vec<(u64, Account)>,
    /// Lines that cannot be used, and why.
    bad: Vec<(u64, String)>,
    /// Whether it has a column for app passwords.
    has_secrets: bool,
    /// Which columns mean nothing here.
    passed_over: Option<String>,
}

pub(super) async fn run(desk: &Desk, arguments: Import) -> Result<()> {
    let directory = &desk.directory;
    let path = &arguments.file;
    let bytes = import::read(path)?;
    let list = parse(&bytes, desk, arguments.upstream.as_deref());
    let list = list.map_err(|why| Failure::new(exit::DATA, format!("{}: {why}", path.display())))?;
    let List { accounts, bad, has_secrets, passed_over } = list;
    if let Some(note) = passed_over {
        output::note(note);
    }
    if has_secrets {
        import::check_private(path, "passwords")?;
    }
    let accounts = import::all_usable(path, accounts, &bad)?;
    let check = async |(line, account)| check(directory, line, account).await;
    let write = async |account: Account| directory.put_account(&account, None).await.map(drop);
    arguments.source.import(path, "accounts", accounts, check, write).await
}

/// What becomes of a row. One that is there is not changed: who wants that says so for each.
async fn check(directory: &Directory, line: u64, account: Account) -> Result<Planned<Account>, DirectoryError> {
    let outcome = match directory.account(&account.name).await {
        Ok(None) => Outcome::Added { id: password_of(&account).map(|stored| stored.id.clone()) },
        Ok(Some(found)) if is_same(&found.record, &account) => Outcome::Same,
        Ok(Some(_)) => Outcome::Refused(
            "there is such an account, with something else in it; change it with `locum account set`, and app passwords \
             with `locum rotate import`"
                .to_owned(),
        ),
        // One that cannot be read stops no other.
        Err(error) if !error.is_transient() => Outcome::Refused(error.to_string()),
        Err(error) => return Err(error),
    };
    let write = matches!(outcome, Outcome::Added { .. }).then(|| account.clone());
    Ok(Planned { rows: vec![Row { line, name: account.name, outcome }], write })
}

fn parse(bytes: &[u8], desk: &Desk, upstream: Option<&str>) -> Result<List, String> {
    let table = Table::of(bytes)?;
    let columns = Columns::of(&table)?;
    let one_line: Vec<usize> = [Some(columns.account), columns.secret].into_iter().flatten().collect();
    let passed_over = table.passed_over(&columns.all());
    let mut list = List { passed_over, has_secrets: columns.secret.is_some(), ..List::default() };
    let mut seen = HashMap::new();
    for record in table.records(&one_line) {
        let line = record.line;
        let account = match columns.account(&record, desk, upstream) {
            Ok(None) => continue,
            Ok(Some(account)) => account,
            Err(why) => {
                list.bad.push((line, why));
                continue;
            }
        };
        match seen.entry(normalise(&account.name)) {
            Entry::Vacant(entry) => {
                entry.insert(line);
                list.accounts.push((line, account));
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
    upstream: Option<usize>,
    identity: Option<usize>,
    by_protocol: Vec<(Protocol, usize)>,
    secret: Option<usize>,
    label: Option<usize>,
}

impl Columns {
    fn of(table: &Table<'_>) -> Result<Self, String> {
        let none = "its first line must name the columns, one of them \"account\"";
        let mut by_protocol = Vec::new();
        for protocol in Protocol::ALL {
            let column = table.column(&[&format!("identity-{protocol}")])?;
            by_protocol.extend(column.map(|column| (protocol, column)));
        }
        Ok(Self {
            account: table.column(&["account", "name"])?.ok_or(none)?,
            upstream: table.column(&["upstream"])?,
            identity: table.column(&["identity"])?,
            by_protocol,
            secret: table.column(SECRET)?,
            label: table.column(&["label"])?,
        })
    }

    fn all(&self) -> Vec<usize> {
        let Self { account, upstream, identity, by_protocol, secret, label } = self;
        let named = [Some(*account), *upstream, *identity, *secret, *label].into_iter().flatten();
        named.chain(by_protocol.iter().map(|(_, column)| *column)).collect()
    }

    /// What a record says; `None` if nothing.
    fn account(&self, record: &Record, desk: &Desk, upstream: Option<&str>) -> Result<Option<Account>, String> {
        if record.is_blank()? {
            return Ok(None);
        }
        let text = |column: Option<usize>, what: &str| {
            let text = column.map(|column| record.text(column)).transpose().map_err(|why| in_column(what, why))?;
            Ok::<_, String>(text.filter(|text| !text.is_empty()))
        };
        let name = |column, what: &str| {
            let name = text(column, what)?.map(check_new_name).transpose().map_err(|why| in_column(what, why))?;
            Ok::<_, String>(name.map(str::to_owned))
        };
        let account = name(Some(self.account), "account")?.ok_or("it names no account")?;
        let upstream = text(self.upstream, "upstream")?.or(upstream);
        let upstream = upstream.ok_or("it names no upstream, and no --upstream is given")?;
        // What stands there is not quoted, in whichever column it should have been.
        let profile = profile_of(&desk.profiles, upstream).map_err(|_| {
            let known: Vec<&str> = desk.profiles.keys().map(String::as_str).collect();
            in_column("upstream", format!("the configuration has no such upstream; it has: {}", known.join(", ")))
        })?;
        let mut account = empty(account, upstream.to_owned());
        account.identity = Identity { all: name(self.identity, "identity")?, ..Identity::default() };
        for (protocol, column) in &self.by_protocol {
            if let Some(identity) = name(Some(*column), &format!("identity-{protocol}"))? {
                account.identity.by_protocol.insert(*protocol, identity);
            }
        }
        let label = text(self.label, "label")?.unwrap_or_default();
        let label = check_label(label).map_err(|why| in_column("label", why))?;
        match text(self.secret, "secret")? {
            Some(secret) => {
                let id = client_secret::random_id().map_err(|error| error.to_string())?;
                let (secret, now) = (Secret::new(secret), Timestamp::now());
                let stored = credential::new_app_password(&secret, profile.app_password, id, label, now);
                let stored = stored.map_err(|why| in_column("secret", why))?;
                account.credentials.insert(CredentialKind::AppPassword, Slots::of(stored));
            }
            None => {
                authority(profile).map_err(|why| format!("it has no app password, so it has to use OAuth2: {why}"))?;
            }
        }
        Ok(Some(account))
    }
}

fn in_column(column: &str, why: impl std::fmt::Display) -> String {
    format!("column {column}: {why}")
}
