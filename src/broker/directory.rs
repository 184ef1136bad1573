//! The records of clients and accounts, typed. All that reads or writes them goes through here.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Account, Client, RecordId, RecordKind, Secret};
use crate::store::{Expected, Store, StoreError, Version};

/// Records read from the store in one go while listing.
const PAGE: usize = 500;

/// Time for the store to hand out one record: a login must not hang with it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

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
    },
}

/// A record and the version it was read at.
#[derive(Debug, Clone)]
pub struct Versioned<T> {
    /// What was read.
    pub record: T,
    /// To be given back when it is written.
    pub version: Version,
}

/// The clients and accounts in a store.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
}

impl Directory {
    /// The records of that store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The account of that name.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn account(&self, name: &str) -> Result<Option<Versioned<Account>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Account, name)).await
    }

    /// The client of that login name.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn client(&self, login: &str) -> Result<Option<Versioned<Client>>, DirectoryError> {
        self.read(&RecordId::new(RecordKind::Client, login)).await
    }

    /// Writes an account, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if someone else wrote it meanwhile; see [`DirectoryError`].
    pub async fn put_account(&self, account: &Account, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(&RecordId::new(RecordKind::Account, &account.name), account, found).await
    }

    /// Writes a client, new (`found` is `None`) or in place of the version that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if someone else wrote it meanwhile; see [`DirectoryError`].
    pub async fn put_client(&self, client: &Client, found: Option<Version>) -> Result<Version, DirectoryError> {
        self.write(&RecordId::new(RecordKind::Client, &client.login), client, found).await
    }

    /// Removes the account that was read at that version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if someone else wrote it meanwhile; see [`DirectoryError`].
    pub async fn remove_account(&self, name: &str, found: Version) -> Result<(), DirectoryError> {
        Ok(self.store.delete(&RecordId::new(RecordKind::Account, name), found).await?)
    }

    /// Removes the client that was read at that version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if someone else wrote it meanwhile; see [`DirectoryError`].
    pub async fn remove_client(&self, login: &str, found: Version) -> Result<(), DirectoryError> {
        Ok(self.store.delete(&RecordId::new(RecordKind::Client, login), found).await?)
    }

    /// All accounts, ordered by name.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn accounts(&self) -> Result<Vec<Account>, DirectoryError> {
        let mut accounts: Vec<Account> = self.read_all(RecordKind::Account).await?;
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(accounts)
    }

    /// All clients, ordered by login name.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn clients(&self) -> Result<Vec<Client>, DirectoryError> {
        let mut clients: Vec<Client> = self.read_all(RecordKind::Client).await?;
        clients.sort_by(|a, b| a.login.cmp(&b.login));
        Ok(clients)
    }

    async fn read_all<T: DeserializeOwned>(&self, kind: RecordKind) -> Result<Vec<T>, DirectoryError> {
        let mut records = Vec::new();
        let mut last: Option<RecordId> = None;
        loop {
            let page = self.store.list(kind, last.as_ref(), PAGE).await?;
            for id in &page {
                // It may have been removed since it was listed.
                records.extend(self.read(id).await?.map(|found| found.record));
            }
            match page.into_iter().next_back() {
                Some(id) => last = Some(id),
                None => return Ok(records),
            }
        }
    }

    async fn read<T: DeserializeOwned>(&self, id: &RecordId) -> Result<Option<Versioned<T>>, DirectoryError> {
        let reading = tokio::time::timeout(READ_TIMEOUT, self.store.read(id)).await;
        let late = |_| StoreError::Unavailable(format!("no answer within {READ_TIMEOUT:?}"));
        let Some(found) = reading.map_err(late)?? else { return Ok(None) };
        // The parser's own message may quote a value: only the place is kept.
        let record = serde_json::from_slice(found.value.expose()).map_err(|error| DirectoryError::Malformed {
            id: id.clone(),
            line: error.line(),
            column: error.column(),
        })?;
        Ok(Some(Versioned { record, version: found.version }))
    }

    async fn write<T: Serialize>(
        &self,
        id: &RecordId,
        record: &T,
        found: Option<Version>,
    ) -> Result<Version, DirectoryError> {
        let malformed = |_| DirectoryError::Malformed { id: id.clone(), line: 0, column: 0 };
        let value = Secret::new(serde_json::to_vec(record).map_err(malformed)?);
        let expected = found.map_or(Expected::Absent, Expected::Version);
        Ok(self.store.write(id, &value, expected).await?)
    }
}
