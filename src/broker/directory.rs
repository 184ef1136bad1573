//! The records of clients and accounts, typed, each with who changed it last and when. All that reads or writes them goes
//! through here.

mod of_nodes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{
    Account, Client, KeptToken, Operator, RecordId, RecordKind, Secret, Sighting, Tenant, TicketKeys, UsageReport,
};
use crate::store::{Expected, Record, Store, StoreError, Version};

/// Time for the store to hand out one record: a login must not hang with it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Records of a page that are read at once: a server is waited for once per so many, and has time for others.
const READS_AT_ONCE: usize = 32;

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record is there and does not have the form of its kind. Its content is not quoted.
    #[error("the record {id} does not have the form of its kind (line {line}, column {column})")]
    Malformed {
        /// The record.
        id: RecordId,
        /// Where it goes wrong.
        line: usize,
        /// Where it goes wrong.
        column: usize,
        /// The version that was read; `None` if it was to be written.
        version: Option<Version>,
    },
    /// Someone else wrote the record since it was read; what was to be written was not.
    #[error(
        "{} while this was under way; nothing was changed here: look at it and run it again",
        describe_change(what, change.as_ref())
    )]
    Changed {
        /// What was to be changed: `the account alice@example.com`.
        what: String,
        /// Who and when, if the record says.
        change: Option<Change>,
    },
    /// Someone else removed the record since it was read.
    #[error("somebody removed {what} while this was under way; nothing was changed here: look at it and run it again")]
    Removed {
        /// What was to be changed.
        what: String,
    },
}

impl DirectoryError {
    /// Whether the same may succeed later with nobody doing anything but running it again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(StoreError::Conflict { .. }) | Self::Changed { .. } | Self::Removed { .. } => true,
            Self::Store(error) => error.is_transient(),
            Self::Malformed { .. } => false,
        }
    }

    /// Whether it is the record that cannot be read, and others may well be; its version then.
    pub fn damaged(&self) -> Option<Version> {
        match self {
            Self::Malformed { version, .. } => *version,
            Self::Store(StoreError::Corrupt { version, .. }) => Some(*version),
            Self::Store(_) | Self::Changed { .. } | Self::Removed { .. } => None,
        }
    }
}

fn describe_change(what: &str, change: Option<&Change>) -> String {
    match change {
        Some(Change { by, at }) => format!("{by} changed {what} at {at:.0},"),
        None => format!("somebody changed {what}"),
    }
}

/// Who wrote a record last, and when. It stands in the record, beside what the record is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// `user@host`, or `locum` for a node.
    pub by: String,
    /// When, by the clock of that host.
    pub at: Timestamp,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} by {}", self.at, self.by)
    }
}

/// A record, who wrote it, and the version it was read at.
#[derive(Debug, Clone)]
pub struct Versioned<T> {
    /// What was read.
    pub record: T,
    /// To be given back when it is written.
    pub version: Version,
    /// Who wrote it last; `None` where that was not kept.
    pub changed: Option<Change>,
}

/// Some records of one kind, in the order in which the store has them.
#[derive(Debug)]
pub struct Page<T> {
    /// Those that could be read.
    pub records: Vec<Versioned<T>>,
    /// Those that could not, each with the reason.
    pub damaged: Vec<(RecordId, DirectoryError)>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<RecordId>,
}

/// What became of a record that was said to be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It was, and is there no more.
    Removed,
    /// It can be read.
    None,
    /// There is no such record.
    NoRecord,
}

/// The clients and accounts in a store.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
    author: Arc<str>,
    latest: bool,
}

impl Directory {
    /// The records of that store, for a node: what it reads may be what it remembers.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, author: Arc::from("locum"), latest: false }
    }

    /// The records of that store, for an operator, who reads in order to write and leaves the name with what is written.
    pub fn of_operator(store: Arc<dyn Store>, author: &str) -> Self {
        Self { store, author: Arc::from(author), latest: true }
    }

    /// The same records, in the name of another operator.
    #[must_use]
    pub fn by(&self, author: &str) -> Self {
        Self { author: Arc::from(author), ..self.clone() }
    }

    /// The account of that name.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn account(&self, name: &str) -> Result<Option<Versioned<Account>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Account, name), self.latest).await
    }

    /// The account of that name as of the last write anywhere, for those who have reason to think that what they read is
    /// old.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn latest_account(&self, name: &str) -> Result<Option<Versioned<Account>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Account, name), true).await
    }

    /// The client of that login name.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn client(&self, login: &str) -> Result<Option<Versioned<Client>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Client, login), self.latest).await
    }

    /// The client of that login name as the store itself says, and an error where it does not answer: for those who would
    /// rather know nothing than something old.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn certain_client(&self, login: &str) -> Result<Option<Versioned<Client>>, DirectoryError> {
        let id = RecordId::new(RecordKind::Client, login);
        let found = in_time(self.store.read_certain(&id)).await?;
        found.map(|found| typed(&id, found)).transpose()
    }

    /// Whether the store is known not to answer now: then what is read here may be old.
    pub fn is_silent(&self) -> bool {
        self.store.is_silent()
    }

    /// The client of that login name as of the last write anywhere, as [`Directory::latest_account`].
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn latest_client(&self, login: &str) -> Result<Option<Versioned<Client>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Client, login), true).await
    }

    /// Writes an account, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// [`DirectoryError::Changed`] or [`DirectoryError::Removed`] if someone else was faster; see [`DirectoryError`].
    pub async fn put_account(&self, account: &Account, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Account, &account.name, account, found).await
    }

    /// Writes a client, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn put_client(&self, client: &Client, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Client, &client.login, client, found).await
    }

    /// Leaves a JSON document with the server of the store, for who has the token that this returns: [`Store::wrap`].
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn wrap(&self, document: &Secret, ttl: Duration) -> Result<Option<Secret>, DirectoryError> {
        Ok(self.store.wrap(document, ttl).await?)
    }

    /// The tenant of that domain.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn tenant(&self, domain: &str) -> Result<Option<Versioned<Tenant>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Tenant, domain), self.latest).await
    }

    /// The tenant of that domain as of the last write anywhere, as [`Directory::latest_account`].
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn latest_tenant(&self, domain: &str) -> Result<Option<Versioned<Tenant>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Tenant, domain), true).await
    }

    /// Writes a tenant, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn put_tenant(&self, tenant: &Tenant, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Tenant, &tenant.domain, tenant, found).await
    }

    /// Removes the tenant that was read at that version.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_tenant(&self, domain: &str, found: Version) -> Result<(), DirectoryError> {
        self.remove(RecordKind::Tenant, domain, found).await
    }

    /// Up to `limit` tenants, beginning behind `after`.
    ///
    /// # Errors
    /// As for [`Directory::accounts_page`].
    pub async fn tenants_page(&self, after: Option<&RecordId>, limit: usize) -> Result<Page<Tenant>, DirectoryError> {
        self.page(RecordKind::Tenant, after, limit).await
    }

    /// The refresh token of the credential of that id, as of the last write anywhere if `latest`.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn token(&self, credential: &str, latest: bool) -> Result<Option<Versioned<KeptToken>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Token, credential), latest || self.latest).await
    }

    /// Writes a refresh token, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn put_token(&self, token: &KeptToken, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Token, &token.credential, token, found).await
    }

    /// Removes the refresh token that was read at that version.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_token(&self, credential: &str, found: Version) -> Result<(), DirectoryError> {
        self.remove(RecordKind::Token, credential, found).await
    }

    /// The operator of that name.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn operator(&self, name: &str) -> Result<Option<Versioned<Operator>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Operator, name), self.latest).await
    }

    /// The operator of that record id, who may be what a node remembers: a look at how things stand must be possible while
    /// the store does not answer.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn known_operator(&self, id: &RecordId) -> Result<Option<Versioned<Operator>>, DirectoryError> {
        self.read(id, false).await
    }

    /// Writes an operator, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn put_operator(&self, operator: &Operator, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(RecordKind::Operator, &operator.name, operator, found).await
    }

    /// Removes the operator that was read at that version.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_operator(&self, name: &str, found: Version) -> Result<(), DirectoryError> {
        self.remove(RecordKind::Operator, name, found).await
    }

    /// Up to `limit` operators, beginning behind `after`.
    ///
    /// # Errors
    /// As for [`Directory::accounts_page`].
    pub async fn operators_page(
        &self,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Page<Operator>, DirectoryError> {
        self.page(RecordKind::Operator, after, limit).await
    }

    /// Removes the account that was read at that version.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_account(&self, name: &str, found: Version) -> Result<(), DirectoryError> {
        self.remove(RecordKind::Account, name, found).await
    }

    /// Removes the client that was read at that version.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_client(&self, login: &str, found: Version) -> Result<(), DirectoryError> {
        self.remove(RecordKind::Client, login, found).await
    }

    /// Removes a record that is there and cannot be read. One that can is left as it is.
    ///
    /// # Errors
    /// As for [`Directory::put_account`].
    pub async fn remove_damaged(&self, id: &RecordId) -> Result<Damage, DirectoryError> {
        let read = match id.kind() {
            RecordKind::Account => self.read::<Account>(id, true).await.map(|found| found.is_some()),
            RecordKind::Client => self.read::<Client>(id, true).await.map(|found| found.is_some()),
            RecordKind::Tenant => self.read::<Tenant>(id, true).await.map(|found| found.is_some()),
            RecordKind::Usage => self.read::<UsageReport>(id, true).await.map(|found| found.is_some()),
            RecordKind::Seen => self.read::<Sighting>(id, true).await.map(|found| found.is_some()),
            RecordKind::Tickets => self.read::<TicketKeys>(id, true).await.map(|found| found.is_some()),
            RecordKind::Operator => self.read::<Operator>(id, true).await.map(|found| found.is_some()),
            RecordKind::Token => self.fetch(id, true).await.map(|found| found.is_some()).map_err(Into::into),
        };
        let version = match read {
            Ok(true) => return Ok(Damage::None),
            Ok(false) => return Ok(Damage::NoRecord),
            Err(error) => error.damaged().ok_or(error)?,
        };
        self.delete(id, &id.to_string(), version).await.map(|()| Damage::Removed)
    }

    /// Up to `limit` accounts, beginning behind `after`. There may be fewer than that on a page which is not the last.
    ///
    /// # Errors
    /// See [`DirectoryError`]; a record that is damaged is none, and in the page.
    pub async fn accounts_page(&self, after: Option<&RecordId>, limit: usize) -> Result<Page<Account>, DirectoryError> {
        self.page(RecordKind::Account, after, limit).await
    }

    /// Up to `limit` clients, beginning behind `after`. There may be fewer than that on a page which is not the last.
    ///
    /// # Errors
    /// See [`DirectoryError`]; a record that is damaged is none, and in the page.
    pub async fn clients_page(&self, after: Option<&RecordId>, limit: usize) -> Result<Page<Client>, DirectoryError> {
        self.page(RecordKind::Client, after, limit).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        kind: RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Page<T>, DirectoryError> {
        // One more than asked for tells whether there is more.
        let mut ids = self.store.list(kind, after, limit.saturating_add(1)).await?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = ids.last().filter(|_| more).cloned();
        let reads = ids.into_iter().map(|id| async move {
            match self.read(&id, self.latest).await {
                Err(error) if error.damaged().is_some() => Ok(Some(Err((id, error)))),
                // It may have been removed since it was listed, or before: some stores name those, too.
                found => Ok::<_, DirectoryError>(found?.map(Ok)),
            }
        });
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        while let Some(found) = reads.try_next().await? {
            match found {
                Some(Ok(record)) => records.push(record),
                Some(Err(error)) => damaged.push(error),
                None => {}
            }
        }
        Ok(Page { records, damaged, next })
    }

    async fn read<T: DeserializeOwned>(
        &self,
        id: &RecordId,
        latest: bool,
    ) -> Result<Option<Versioned<T>>, DirectoryError> {
        self.fetch(id, latest).await?.map(|found| typed(id, found)).transpose()
    }

    async fn fetch(&self, id: &RecordId, latest: bool) -> Result<Option<Record>, StoreError> {
        in_time(async { if latest { self.store.read_latest(id).await } else { self.store.read(id).await } }).await
    }

    async fn write<T: Serialize>(
        &self,
        kind: RecordKind,
        name: &str,
        record: &T,
        found: Option<Version>,
    ) -> Result<Version, DirectoryError> {
        let id = RecordId::new(kind, name);
        let malformed = |_| DirectoryError::Malformed { id: id.clone(), line: 0, column: 0, version: None };
        let changed = Change { by: self.author.to_string(), at: Timestamp::now() };
        let value = Secret::new(serde_json::to_vec(&Stamped { record, changed: &changed }).map_err(malformed)?);
        let expected = found.map_or(Expected::Absent, Expected::Version);
        let conflict = match self.store.write(&id, &value, expected).await {
            Err(conflict @ StoreError::Conflict { .. }) => conflict,
            written => return Ok(written?),
        };
        match self.fetch(&id, true).await {
            // A store that tries again after an answer was lost meets its own first try. The stamp makes it ours.
            Ok(Some(now)) if now.value == value => Ok(now.version),
            now => Err(overtaken(describe(kind, name), now, conflict)),
        }
    }

    async fn remove(&self, kind: RecordKind, name: &str, found: Version) -> Result<(), DirectoryError> {
        self.delete(&RecordId::new(kind, name), &describe(kind, name), found).await
    }

    async fn delete(&self, id: &RecordId, what: &str, found: Version) -> Result<(), DirectoryError> {
        match self.store.delete(id, found).await {
            Err(conflict @ StoreError::Conflict { .. }) => {
                Err(overtaken(what.to_owned(), self.fetch(id, true).await, conflict))
            }
            removed => Ok(removed?),
        }
    }
}

async fn in_time<T>(reading: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable(format!("no answer within {READ_TIMEOUT:?}"));
    tokio::time::timeout(READ_TIMEOUT, reading).await.map_err(late)?
}

fn typed<T: DeserializeOwned>(id: &RecordId, found: Record) -> Result<Versioned<T>, DirectoryError> {
    // The parser's own message may quote a value: only the place is kept.
    let record = serde_json::from_slice(found.value.expose()).map_err(|error| DirectoryError::Malformed {
        id: id.clone(),
        line: error.line(),
        column: error.column(),
        version: Some(found.version),
    })?;
    Ok(Versioned { record, version: found.version, changed: last_change(&found) })
}

/// A record as it is written: its own fields, and the stamp beside them.
#[derive(Serialize)]
struct Stamped<'a, T> {
    #[serde(flatten)]
    record: &'a T,
    changed: &'a Change,
}

/// The stamp of a record, read by itself: to flatten it together with the record would leave copies of all secrets in
/// the buffer that serde makes for that. One that cannot be read is none: nothing is decided by it.
fn last_change(record: &Record) -> Option<Change> {
    #[derive(Deserialize)]
    struct Stamp {
        changed: Change,
    }
    let Stamp { changed: Change { by, at } } = serde_json::from_slice(record.value.expose()).ok()?;
    // Whoever may write to the store by other means could put anything there, and it goes onto terminals.
    Some(Change { by: by.replace(char::is_control, ""), at })
}

/// What to say of a conflict, by what is found now.
fn overtaken(what: String, now: Result<Option<Record>, StoreError>, conflict: StoreError) -> DirectoryError {
    match now {
        Ok(Some(now)) => DirectoryError::Changed { what, change: last_change(&now) },
        Ok(None) => DirectoryError::Removed { what },
        Err(_) => conflict.into(),
    }
}

fn describe(kind: RecordKind, name: &str) -> String {
    let kind = match kind {
        RecordKind::Account => "account",
        RecordKind::Client => "client",
        RecordKind::Tenant => "tenant",
        RecordKind::Token => "token",
        RecordKind::Usage => "report of the node",
        RecordKind::Seen => "sighting",
        RecordKind::Tickets => "ticket keys",
        RecordKind::Operator => "operator",
    };
    format!("the {kind} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Material, Policy};
    use crate::store::memory::Memory;

    fn client(login: &str, listener: &str) -> Client {
        let policy = Policy { listeners: vec![listener.into()], ..Policy::default() };
        Client { login: login.into(), secrets: Vec::new(), bindings: Vec::new(), policy }
    }

    fn two_operators() -> (Directory, Directory, Arc<Memory>) {
        let store = Arc::new(Memory::new());
        let of = |author| Directory::of_operator(Arc::clone(&store) as _, author);
        (of("alice@one"), of("bob@two"), store)
    }

    #[tokio::test]
    async fn a_record_says_who_wrote_it_last_and_when() {
        let (alice, bob, _) = two_operators();
        let began = Timestamp::now();
        let first = alice.put_client(&client("scan", "a"), None).await.unwrap();
        let found = bob.client("scan").await.unwrap().unwrap();
        let changed = found.changed.unwrap();
        assert_eq!((changed.by.as_str(), found.version), ("alice@one", first));
        assert!(began <= changed.at && changed.at <= Timestamp::now());
        bob.put_client(&client("scan", "b"), Some(first)).await.unwrap();
        assert_eq!(alice.client("scan").await.unwrap().unwrap().changed.unwrap().by, "bob@two");
    }

    #[tokio::test]
    async fn who_comes_late_is_told_of_whom_and_changes_nothing() {
        let (alice, bob, _) = two_operators();
        let first = alice.put_client(&client("scan", "a"), None).await.unwrap();
        bob.put_client(&client("scan", "b"), Some(first)).await.unwrap();
        let at = bob.client("scan").await.unwrap().unwrap().changed.unwrap().at;
        let late = [
            alice.put_client(&client("scan", "c"), Some(first)).await.unwrap_err(),
            alice.put_client(&client("scan", "c"), None).await.unwrap_err(),
            alice.remove_client("scan", first).await.unwrap_err(),
        ];
        for error in late {
            assert_eq!(
                error.to_string(),
                format!(
                    "bob@two changed the client scan at {at:.0}, while this was under way; nothing was changed here: \
                     look at it and run it again"
                )
            );
        }
        assert_eq!(alice.client("scan").await.unwrap().unwrap().record, client("scan", "b"));
    }

    #[tokio::test]
    async fn a_removal_meanwhile_is_told() {
        let (alice, bob, _) = two_operators();
        let first = alice.put_client(&client("scan", "a"), None).await.unwrap();
        bob.remove_client("scan", first).await.unwrap();
        for error in [
            alice.put_client(&client("scan", "c"), Some(first)).await.unwrap_err(),
            alice.remove_client("scan", first).await.unwrap_err(),
        ] {
            assert!(error.to_string().starts_with("somebody removed the client scan while this"), "{error}");
        }
        assert!(alice.client("scan").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn records_without_a_stamp_or_with_a_strange_one_are_read() {
        let (alice, _, store) = two_operators();
        for (login, stamp) in [
            ("a", ""),
            ("b", r#","changed":7"#),
            ("c", r#","changed":{"by":"x\u001b[2Jy","at":"1970-01-01T00:00:00Z"}"#),
        ] {
            let record = Secret::new(format!(r#"{{"login":"{login}"{stamp}}}"#));
            store.write(&RecordId::new(RecordKind::Client, login), &record, Expected::Absent).await.unwrap();
        }
        let changed = async |login| alice.client(login).await.unwrap().unwrap().changed;
        assert_eq!((changed("a").await, changed("b").await), (None, None));
        assert_eq!(changed("c").await.unwrap().to_string(), "1970-01-01T00:00:00Z by x[2Jy");
        let error = alice.put_client(&client("a", "a"), None).await.unwrap_err();
        assert!(error.to_string().starts_with("somebody changed the client a while"), "{error}");
    }

    #[tokio::test]
    async fn the_stamp_does_not_disturb_the_secrets_beside_it() {
        let (alice, ..) = two_operators();
        let stored = crate::model::StoredCredential {
            id: "c1".into(),
            label: String::new(),
            created: Timestamp::UNIX_EPOCH,
            verified: None,
            retries: 0,
            material: Material::of("secret", Secret::new("canary")),
        };
        let slots = crate::model::Slots::of(stored);
        let account = Account {
            name: "a".into(),
            upstream: "gmail".into(),
            identity: Default::default(),
            credentials: [(crate::model::CredentialKind::AppPassword, slots)].into(),
            preference: crate::model::Preference::default(),
            class: None,
        };
        alice.put_account(&account, None).await.unwrap();
        let found = alice.account("a").await.unwrap().unwrap();
        assert_eq!(found.record, account);
        assert!(!format!("{found:?}").contains("canary"));
    }

    #[tokio::test]
    async fn pages_hold_what_can_be_read_and_name_what_cannot() {
        let (alice, _, store) = two_operators();
        let mut written: Vec<String> = (0..7).map(|number| format!("user{number}")).collect();
        for login in &written {
            alice.put_client(&client(login, "l"), None).await.unwrap();
        }
        let bad = RecordId::new(RecordKind::Client, "bad");
        store.write(&bad, &Secret::new("canary"), Expected::Absent).await.unwrap();
        let (mut seen, mut damaged, mut sizes, mut after) = (Vec::new(), Vec::new(), Vec::new(), None);
        loop {
            let page = alice.clients_page(after.as_ref(), 4).await.unwrap();
            sizes.push(page.records.len() + page.damaged.len());
            seen.extend(page.records.into_iter().map(|found| found.record.login));
            damaged.extend(page.damaged);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        seen.sort();
        written.sort();
        assert_eq!((seen, sizes), (written, vec![4, 4]), "a page that is full and the last says so");
        let [(id, error)] = &damaged[..] else { panic!("{damaged:?}") };
        assert_eq!(*id, bad);
        assert!(error.to_string().contains("does not have the form") && !format!("{error:?}").contains("canary"));
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_can_be_removed_and_no_other() {
        let (alice, _, store) = two_operators();
        let id = RecordId::new(RecordKind::Client, "scan");
        assert_eq!(alice.remove_damaged(&id).await.unwrap(), Damage::NoRecord);
        let version = alice.put_client(&client("scan", "a"), None).await.unwrap();
        assert_eq!(alice.remove_damaged(&id).await.unwrap(), Damage::None);
        store.write(&id, &Secret::new("{"), Expected::Version(version)).await.unwrap();
        assert!(alice.client("scan").await.is_err());
        assert_eq!(alice.remove_damaged(&id).await.unwrap(), Damage::Removed);
        assert!(alice.client("scan").await.unwrap().is_none());
    }
}
