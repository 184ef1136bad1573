//! The records in HashiCorp Vault or OpenBao, in a KV engine of version 2. It must never put a name into a path, follow a
//! redirect, or tell "the server cannot be asked" as "there is no such record".
//!
//! - [`Vault`]: the store. [`Options`]: where the server is, and who we are to it.
//! - `servers`, `http`: which server is asked, and how. `failure`: what its answers mean. `access`, `login`: tokens.
//! - `kv`: a record as an entry. `feed`, `ring`: the change feed. `setup`: what is proved before all of that.

mod access;
mod failure;
mod feed;
#[cfg(debug_assertions)]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod kv;
mod login;
mod options;
mod requests;
mod ring;
mod servers;
mod setup;
mod source;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use vaultrs::api;
use vaultrs::api::kv2::requests::{
    DestroySecretVersionsRequest, ReadSecretMetadataRequest, ReadSecretRequest, SetSecretRequest,
    SetSecretRequestOptions,
};
use vaultrs::api::kv2::responses::ReadSecretResponse;

use self::access::Trouble;
use self::failure::Failure;
use self::feed::Announcements;
use self::kv::{Attempt, Entry};
use self::login::Tokens;
use self::requests::{Plain, Wrap};
use self::servers::{READ_TICKETS, Reach, Servers, WRITE, WRITE_USAGE};
use super::{Expected, Health, OpenError, Record, Store, StoreError, Version, check_size};
use crate::model::{RecordId, RecordKind, Secret};

pub use options::{Login, Options};

/// Time for one write, with all its attempts: a cluster that lost its leader takes some ten seconds to elect another.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause before the second attempt at a write; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Keys asked for in one request.
const LIST_KEYS_MAX: usize = 10_000;

/// Whose rights are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Those of the login in the configuration: a node's.
    Node,
    /// Those of whoever runs the command: the token in `VAULT_TOKEN`, `BAO_TOKEN` or `~/.vault-token`, and where there is
    /// none of these, the login in the configuration.
    Operator,
}

/// A store in a Vault.
pub struct Vault {
    mount: String,
    servers: Servers,
    tokens: Tokens,
    health: Arc<Health>,
    announcements: Announcements,
    /// Whether the engine at the mount was seen to be the one that is needed.
    is_proven: AtomicBool,
    /// When a token that had just been obtained was refused as well.
    refused_anew: Mutex<Option<Instant>>,
}

impl Vault {
    /// Prepares everything that needs no server. It sends nothing.
    ///
    /// # Errors
    /// [`OpenError`]: each says what to do.
    pub fn new(options: &Options, rights: Rights) -> Result<Self, OpenError> {
        Ok(Self {
            mount: options.mount.clone(),
            servers: Servers::new(options)?,
            tokens: Tokens::new(&options.login, rights)?,
            health: Arc::default(),
            announcements: Announcements::new(options.peers.clone()),
            is_proven: AtomicBool::new(false),
            refused_anew: Mutex::default(),
        })
    }

    /// How the server is.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// What is under a record's key.
    async fn entry(&self, reach: Reach, id: &RecordId) -> Result<Option<Entry>, StoreError> {
        let operation = if id.kind() == RecordKind::Tickets { READ_TICKETS } else { "read" };
        Self::entry_from(id, self.get(reach, operation, &id.to_string(), None).await)
    }

    fn entry_from(id: &RecordId, answer: Result<ReadSecretResponse, Trouble>) -> Result<Option<Entry>, StoreError> {
        match answer {
            Ok(answer) => Ok(Some(Entry::parse(id, answer)?)),
            Err(Trouble::Request(Failure::Absent)) => Ok(None),
            Err(Trouble::Request(Failure::Deleted { version })) => Ok(Some(Entry::deleted(version))),
            Err(trouble) => Err(trouble.into_store_error(&format!("cannot read {id}"))),
        }
    }

    async fn record(&self, reach: Reach, id: &RecordId) -> Result<Option<Record>, StoreError> {
        Ok(self.entry(reach, id).await?.and_then(record_of))
    }

    /// Asks the active server for a record of which another one knows nothing: a standby that is behind, or cut off, has
    /// none that is new, and a client would be told that its password is wrong. The health is not told, for whoever tries
    /// names would turn it while there is no active server and the others answer.
    async fn confirmed(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        let answer = self.read_authorised(Reach::Active, "read", |client| {
            let request = ReadSecretRequest { mount: self.mount.clone(), path: id.to_string(), version: None };
            async move { api::exec_with_result(&client, request).await }
        });
        Ok(Self::entry_from(id, answer.await)?.and_then(record_of))
    }

    /// Writes an entry, with as many attempts as it takes: each bears the same name, so that one whose answer was lost is
    /// known again, whenever it had its effect.
    async fn put(&self, id: &RecordId, value: Option<&Secret>, expected: Expected) -> Result<Version, StoreError> {
        let attempt = Attempt::new()?;
        let mut version = match expected {
            Expected::Absent => 0,
            Expected::Version(Version(version)) => version,
        };
        let operation = match id.kind() {
            RecordKind::Usage | RecordKind::Seen | RecordKind::Tickets => WRITE_USAGE,
            RecordKind::Account
            | RecordKind::Client
            | RecordKind::Tenant
            | RecordKind::Token
            | RecordKind::Operator => WRITE,
        };
        let mut doubt = "";
        let (deadline, mut pause) = (Instant::now() + WRITE_TIMEOUT, PAUSE_MIN);
        loop {
            let outcome = match self.set(operation, &id.to_string(), attempt.fields(value), version).await {
                Ok(version) => return Ok(Version(version)),
                Err(Trouble::Request(Failure::Conflict)) => self.entry_in_place_of(version, id).await,
                Err(Trouble::Request(Failure::TooLarge)) => {
                    let bytes = value.map_or(0, |value| value.expose().len());
                    return Err(StoreError::TooLarge { id: id.clone(), bytes });
                }
                Err(trouble) => {
                    if trouble.leaves_doubt() {
                        doubt = "; it may have been written all the same, so look before trying again";
                    }
                    Err(trouble.into_store_error(&format!("cannot write {id}{doubt}")))
                }
            };
            match outcome {
                Ok(Some(entry)) if entry.is_of(&attempt) => return Ok(Version(entry.version)),
                Ok(Some(_)) if !doubt.is_empty() && self.has_made(&attempt, id, version + 1).await? => {
                    return Ok(Version(version + 1));
                }
                // What was deleted leaves its count behind, and a new record goes on from there.
                Ok(Some(entry)) if expected == Expected::Absent && entry.value.is_none() => version = entry.version,
                Ok(None) if expected == Expected::Absent => version = 0,
                Ok(found) => {
                    let found = found.and_then(|entry| entry.record_version());
                    return Err(StoreError::Conflict { id: id.clone(), found });
                }
                Err(error) if error.is_transient() && Instant::now() + pause < deadline => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What is there in place of the version that a write expected.
    async fn entry_in_place_of(&self, version: u64, id: &RecordId) -> Result<Option<Entry>, StoreError> {
        let found = self.entry(Reach::Active, id).await?;
        if found.as_ref().map_or(0, |entry| entry.version) == version {
            // It was refused for that version. Asked again at once, this server would say the same.
            return Err(StoreError::Unavailable(format!("a server is behind, and does not know the present {id}")));
        }
        Ok(found)
    }

    /// Whether that attempt made this version, though somebody has replaced it since.
    async fn has_made(&self, attempt: &Attempt, id: &RecordId, version: u64) -> Result<bool, StoreError> {
        match self.get(Reach::Active, "read", &id.to_string(), Some(version)).await {
            Ok(answer) => Ok(Entry::parse(id, answer)?.is_of(attempt)),
            Err(Trouble::Request(Failure::Absent)) => Ok(false),
            Err(Trouble::Request(Failure::Deleted { .. })) => {
                let text = format!("{id} was removed meanwhile; whether it was written before cannot be told any more");
                Err(StoreError::Unavailable(text))
            }
            Err(trouble) => Err(trouble.into_store_error(&format!("cannot tell whether {id} was written"))),
        }
    }

    /// Takes the earlier versions of a record out of the server's history.
    async fn destroy_up_to(&self, id: &RecordId, last: u64) -> Result<(), StoreError> {
        let about = format!("{id} is deleted, but its earlier versions are still in the server's history");
        let failed = |trouble: Trouble| trouble.into_store_error(&about);
        let (mount, path) = (&self.mount, id.to_string());
        let metadata = self.ask(Reach::Active, "read_metadata", |client| {
            let request = ReadSecretMetadataRequest { mount: mount.clone(), path: path.clone() };
            async move { api::exec_with_result(&client, request).await }
        });
        let oldest = match metadata.await {
            Ok(metadata) => metadata.oldest_version.max(1),
            Err(Trouble::Request(Failure::Absent)) => return Ok(()), // somebody purged it altogether
            Err(trouble) => return Err(failed(trouble)),
        };
        // Where few are kept, the one that stands for the deleted record has pushed out all others.
        let versions: Vec<u64> = (oldest..=last).collect();
        if versions.is_empty() {
            return Ok(());
        }
        self.order("destroy", |client| {
            let (mount, path, versions) = (mount.clone(), path.clone(), versions.clone());
            let request = DestroySecretVersionsRequest { mount, path, versions };
            async move { api::exec_with_empty(&client, request).await }
        })
        .await
        .map_err(failed)
    }

    /// Keys of a folder behind `after`: at least `limit` of them if there are so many, and all of them from a server that
    /// knows no pages.
    async fn keys(&self, folder: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let request = Plain::list(&self.mount, folder, after, limit);
        let listed = self.ask(Reach::Active, "list", |client| {
            let request = request.clone();
            async move { api::exec_with_result(&client, request).await }
        });
        match listed.await {
            Ok(mut listed) => serde_json::from_value(listed["keys"].take())
                .map_err(|_| Failure::Garbled.into_store_error("cannot list the records")),
            Err(Trouble::Request(Failure::Absent)) => Ok(Vec::new()),
            Err(trouble) => Err(trouble.into_store_error("cannot list the records")),
        }
    }

    /// An entry as it is, or was in that version.
    async fn get(
        &self,
        reach: Reach,
        operation: &'static str,
        key: &str,
        version: Option<u64>,
    ) -> Result<ReadSecretResponse, Trouble> {
        self.ask(reach, operation, |client| {
            let request = ReadSecretRequest { mount: self.mount.clone(), path: key.to_owned(), version };
            async move { api::exec_with_result(&client, request).await }
        })
        .await
    }

    /// Writes an entry if it has that version, 0 for none, and returns its new one.
    async fn set(&self, operation: &'static str, key: &str, fields: Value, version: u64) -> Result<u64, Trouble> {
        let Ok(cas) = u32::try_from(version) else { return Err(Failure::Garbled.into()) };
        let written = self.order(operation, |client| {
            let (mount, path, data) = (self.mount.clone(), key.to_owned(), fields.clone());
            let options = Some(SetSecretRequestOptions { cas });
            let request = SetSecretRequest { mount, path, data, options };
            async move { api::exec_with_result(&client, request).await }
        });
        match written.await {
            Ok(metadata) => Ok(metadata.version),
            // What the server says of a request might repeat what was in it.
            Err(Trouble::Request(failure)) => Err(failure.without_text().into()),
            Err(trouble) => Err(trouble),
        }
    }
}

#[async_trait]
impl Store for Vault {
    async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        match self.record(Reach::Any, id).await? {
            None => self.confirmed(id).await,
            found => Ok(found),
        }
    }

    async fn read_latest(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
        self.record(Reach::Latest, id).await
    }

    async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
        check_size(id, value)?;
        let version = self.put(id, Some(value), expected).await?;
        self.announce(id, version).await;
        Ok(version)
    }

    async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
        let version = self.put(id, None, Expected::Version(expected)).await?;
        self.announce(id, version).await;
        // Nobody finds the record any more who could ask for it again.
        let (deadline, mut pause) = (Instant::now() + WRITE_TIMEOUT, PAUSE_MIN);
        loop {
            match self.destroy_up_to(id, expected.0).await {
                Err(error) if error.is_transient() && Instant::now() + pause < deadline => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                destroyed => return destroyed,
            }
        }
    }

    async fn list(
        &self,
        kind: RecordKind,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        let (folder, mut after) = (kind.folder(), after.map(|id| id.hash().to_owned()));
        let mut ids = Vec::new();
        while ids.len() < limit {
            let wanted = (limit - ids.len()).min(LIST_KEYS_MAX);
            let mut keys = self.keys(folder, after.as_deref(), wanted).await?;
            keys.retain(|key| after.as_ref().is_none_or(|after| key > after));
            keys.sort_unstable();
            keys.truncate(wanted);
            let is_last = keys.len() < wanted;
            ids.extend(keys.iter().filter_map(|key| RecordId::from_hash(kind, key)));
            match keys.pop() {
                Some(key) if !is_last => after = Some(key),
                _ => break,
            }
        }
        Ok(ids)
    }

    async fn wrap(&self, document: &Secret, ttl: Duration) -> Result<Option<Secret>, StoreError> {
        let failed = |trouble: Trouble| trouble.into_store_error("cannot wrap a secret (sys/wrapping/wrap)");
        let wrapped = self.order("wrap", |mut client| {
            client.middle.wrap = Some(format!("{}s", ttl.as_secs()));
            let request = Wrap::of(document);
            async move { api::exec_with_no_result(&client, request).await }
        });
        let answer: Value = match wrapped.await {
            Ok(answer) => answer,
            // What the server says of a request might repeat what was in it.
            Err(Trouble::Request(failure)) => return Err(failed(failure.without_text().into())),
            Err(trouble) => return Err(failed(trouble)),
        };
        let token = answer["wrap_info"]["token"].as_str().filter(|token| !token.is_empty());
        token.map(|token| Some(Secret::new(token))).ok_or_else(|| failed(Failure::Garbled.into()))
    }
}

fn record_of(entry: Entry) -> Option<Record> {
    Some(Record { version: Version(entry.version), value: entry.value? })
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("servers", &self.servers.describe())
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}
