//! The preference of many accounts at once. What is wrong with one of them stops no other, and a run that was
//! interrupted is simply run again.

use std::path::{Path, PathBuf};

use anyhow::Result;
use futures_util::{StreamExt, stream};

use super::list_file::{self, Row};
use crate::broker::{Directory, DirectoryError, Versioned};
use crate::cli::exit::{self, Failure};
use crate::cli::kinds::Kinds;
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::management::ManagementError;
use crate::management::accounts::{self, Prefer, Preferred, Tenants};
use crate::model::{Account, RecordId, normalise};

/// Accounts that are worked on at a time: a server is waited for once per so many, and has time for others.
const AT_ONCE: usize = 8;

/// Accounts that are read in one go.
const PAGE: usize = 1_000;

/// Complaints that are made one by one; of more there is the number.
const NAMED_MAX: usize = 200;

#[derive(Debug, clap::Args)]
pub(super) struct Many {
    /// Change what is preferred for all accounts of this file: its first line names the columns, one of them `account`;
    /// another one, `prefer`, may say what is wanted instead of --prefer.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "domain"])]
    csv: Option<PathBuf>,
    /// Change what is preferred for all accounts whose name ends so.
    #[arg(long, conflicts_with = "name")]
    domain: Option<String>,
}

/// Whose preference it is.
pub(super) enum Whose {
    One(String),
    Csv(PathBuf),
    Domain(String),
}

impl Many {
    /// Whether many are named.
    pub(super) fn is_given(&self) -> bool {
        self.csv.is_some() || self.domain.is_some()
    }

    pub(super) fn whose(self, name: Option<String>) -> Whose {
        match (self.csv, self.domain) {
            (Some(file), _) => Whose::Csv(file),
            (None, Some(domain)) => Whose::Domain(domain),
            (None, None) => Whose::One(name.unwrap_or_default()), // it is required then
        }
    }
}

/// What became of one account.
enum Done {
    Changed,
    /// It is as is wanted already.
    Same,
    /// It is not what the list takes it for.
    Refused(String),
    Failed(DirectoryError),
}

/// What became of all.
#[derive(Default)]
struct Tally {
    changed: usize,
    same: usize,
    refused: usize,
    overtaken: usize,
    said: usize,
    /// The store is out of reach: what was not tried would fail, too, and slowly.
    outage: Option<DirectoryError>,
}

impl Tally {
    fn count(&mut self, done: Done, line: Option<u64>) {
        match done {
            Done::Changed => self.changed += 1,
            Done::Same => self.same += 1,
            Done::Refused(why) => {
                self.refused += 1;
                self.complain(line, &why);
            }
            Done::Failed(error @ (DirectoryError::Changed { .. } | DirectoryError::Removed { .. })) => {
                self.overtaken += 1;
                self.complain(line, &error.to_string());
            }
            Done::Failed(error) if error.is_transient() => self.outage = Some(error),
            Done::Failed(error) => {
                self.refused += 1;
                self.complain(line, &error.to_string());
            }
        }
    }

    fn complain(&mut self, line: Option<u64>, why: &str) {
        self.said += 1;
        if self.said > NAMED_MAX {
            return;
        }
        output::note(match line {
            Some(line) => format!("locum: line {line}: {why}"),
            None => format!("locum: {why}"),
        });
    }

    fn done(&self) -> usize {
        self.changed + self.same + self.refused + self.overtaken
    }

    /// Says what became of them, and fails unless all are as wanted.
    fn tell(self, total: usize) -> Result<()> {
        if self.said > NAMED_MAX {
            output::note(format!("locum: and {} more", self.said - NAMED_MAX));
        }
        let Self { changed, same, refused, overtaken, outage, .. } = self;
        let accounts = if total == 1 { "account" } else { "accounts" };
        output::line(format!("{total} {accounts}: {changed} changed, {same} as wanted already, {refused} refused"));
        if let Some(error) = outage {
            let left = total.saturating_sub(changed + same + refused + overtaken);
            output::note(format!("{left} were not changed, as the store failed; run it again to go on"));
            return Err(error.into());
        }
        if refused > 0 {
            let message = format!("{refused} of {total} {accounts} are not as wanted: see what is said above");
            return Err(Failure::new(exit::DATA, message).into());
        }
        if overtaken > 0 {
            let message = format!("{overtaken} were changed by somebody else meanwhile: run it again");
            return Err(Failure::new(exit::TEMPORARY, message).into());
        }
        Ok(())
    }
}

/// The accounts of a CSV file.
pub(super) async fn of_file(directory: &Directory, file: &Path, wanted: &Prefer) -> Result<()> {
    let list = list_file::read(file)?;
    let (tenants, mut tally, mut progress) = (Tenants::of(directory), Tally::default(), Progress::begin("accounts"));
    let mut lines: Vec<(u64, Result<Row, String>)> = list.rows.into_iter().map(|row| (row.line, Ok(row))).collect();
    lines.extend(list.bad.into_iter().map(|(line, why)| (line, Err(why))));
    lines.sort_by_key(|(line, _)| *line); // complaints come in the order of the file
    let total = lines.len();
    let work = lines.into_iter().map(|(line, row)| {
        let tenants = &tenants;
        async move {
            match row {
                Ok(row) => (line, row_done(tenants, row, wanted).await),
                Err(why) => (line, Done::Refused(why)),
            }
        }
    });
    let mut work = stream::iter(work).buffered(AT_ONCE);
    while let (None, Some((line, done))) = (&tally.outage, work.next().await) {
        tally.count(done, Some(line));
        progress.show(tally.done(), total);
    }
    progress.end();
    tally.tell(total)
}

async fn row_done(tenants: &Tenants<'_>, row: Row, wanted: &Prefer) -> Done {
    let all = row.prefer.map(|Kinds(kinds)| kinds).or_else(|| wanted.all.clone());
    let wanted = Prefer { all, ..wanted.clone() };
    if !wanted.names_any() {
        let why = format!("it does not say what is preferred for {}, and no --prefer is given", row.account);
        return Done::Refused(why);
    }
    match tenants.directory.account(&row.account).await {
        Ok(Some(found)) => account_done(tenants, found, &wanted).await,
        Ok(None) => Done::Refused(format!("there is no account {}; see `locum account list`", row.account)),
        Err(error) => Done::Failed(error),
    }
}

/// All accounts of a domain.
pub(super) async fn of_domain(directory: &Directory, domain: &str, wanted: &Prefer) -> Result<()> {
    let domain = normalise(domain.trim().trim_start_matches('@'));
    if !wanted.names_any() || domain.is_empty() {
        let message = "say what is preferred for the domain: --prefer oauth2, or --prefer-for imap=oauth2";
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let (tenants, mut tally, mut progress) = (Tenants::of(directory), Tally::default(), Progress::begin("accounts"));
    let (mut after, mut total): (Option<RecordId>, _) = (None, 0);
    loop {
        let page = directory.accounts_page(after.as_ref(), PAGE).await?;
        total += page.damaged.len();
        for (_, error) in page.damaged {
            tally.count(Done::Refused(error.to_string()), None);
        }
        let is_of_it = |found: &Versioned<Account>| {
            accounts::domain_of(&found.record.name).is_some_and(|it| normalise(it) == domain)
        };
        let found: Vec<_> = page.records.into_iter().filter(is_of_it).collect();
        total += found.len();
        let mut work =
            stream::iter(found.into_iter().map(|found| account_done(&tenants, found, wanted))).buffered(AT_ONCE);
        while let (None, Some(done)) = (&tally.outage, work.next().await) {
            tally.count(done, None);
            progress.show(tally.done(), total);
        }
        after = page.next.filter(|_| tally.outage.is_none());
        if after.is_none() {
            break;
        }
    }
    progress.end();
    if total == 0 {
        let message = format!("there is no account of {domain}; see `locum account list`");
        return Err(Failure::new(exit::NOT_FOUND, message).into());
    }
    tally.tell(total)
}

/// Changes one account, unless it is as wanted.
async fn account_done(tenants: &Tenants<'_>, found: Versioned<Account>, wanted: &Prefer) -> Done {
    match accounts::prefer(tenants, found, wanted).await {
        Ok(Preferred::Changed) => Done::Changed,
        Ok(Preferred::Same) => Done::Same,
        Err(ManagementError::Directory(error)) => Done::Failed(error),
        Err(why) => Done::Refused(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::management::accounts::empty;
    use crate::model::{CredentialKind, Material, Secret, Slots, StoredCredential};
    use crate::store::StoreError;
    use crate::store::memory::Memory;

    fn wanted() -> Prefer {
        Prefer { all: Some(vec![CredentialKind::AppPassword]), ..Prefer::default() }
    }

    async fn put(directory: &Directory, name: &str) -> Versioned<Account> {
        let mut account = empty(name.to_owned(), "gmail".to_owned());
        let stored = StoredCredential {
            id: "c1".to_owned(),
            label: String::new(),
            created: jiff::Timestamp::UNIX_EPOCH,
            verified: None,
            retries: 0,
            material: Material::of("secret", Secret::new("x")),
        };
        account.credentials.insert(CredentialKind::AppPassword, Slots::of(stored));
        directory.put_account(&account, None).await.unwrap();
        directory.account(name).await.unwrap().unwrap()
    }

    fn code(tally: Tally) -> String {
        format!("{:?}", tally.tell(2).map_or_else(|error| exit::code_of(&error), |()| 0.into()))
    }

    #[tokio::test]
    async fn a_conflict_on_one_is_told_and_stops_no_other() {
        let directory = Directory::of_operator(Arc::new(Memory::new()), "alice@one");
        let (first, second) = (put(&directory, "a@x.test").await, put(&directory, "b@x.test").await);
        // Somebody else is faster with the first.
        directory.put_account(&first.record, Some(first.version)).await.unwrap();
        let (tenants, mut tally) = (Tenants::of(&directory), Tally::default());
        for found in [first, second] {
            tally.count(account_done(&tenants, found, &wanted()).await, None);
        }
        assert_eq!((tally.overtaken, tally.changed, tally.outage.is_none()), (1, 1, true));
        assert_eq!(code(tally), format!("{:?}", std::process::ExitCode::from(exit::TEMPORARY)));
        let again = directory.account("a@x.test").await.unwrap().unwrap();
        assert!(matches!(account_done(&tenants, again, &wanted()).await, Done::Changed));
        let again = directory.account("b@x.test").await.unwrap().unwrap();
        assert!(matches!(account_done(&tenants, again, &wanted()).await, Done::Same));
    }

    #[test]
    fn what_is_wrong_with_the_data_weighs_more_than_a_conflict() {
        let conflict = || Done::Failed(DirectoryError::Removed { what: "the account a".to_owned() });
        let mut tally = Tally::default();
        tally.count(conflict(), Some(2));
        tally.count(Done::Refused("it names no account".to_owned()), Some(3));
        assert_eq!(code(tally), format!("{:?}", std::process::ExitCode::from(exit::DATA)));
        let outage = StoreError::Unavailable("no route to host".to_owned());
        let mut tally = Tally::default();
        tally.count(Done::Failed(outage.into()), None);
        assert!(tally.outage.is_some(), "the rest would fail, too");
        assert_eq!(code(tally), format!("{:?}", std::process::ExitCode::from(exit::TEMPORARY)));
    }
}
