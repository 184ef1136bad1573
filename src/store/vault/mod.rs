//! The records in HashiCorp Vault or OpenBao, in a KV engine of version 2.

mod options;

use std::fmt;

use async_trait::async_trait;

use super::{Changes, Expected, Feed, Health, OpenError, Position, Record, Store, StoreError, Version};
use crate::model::{RecordId, RecordKind, Secret};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub use options::{Login, Options};

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
    health: Arc<Health>,
}

impl Vault {
    /// Prepares everything that needs no server. It sends nothing.
    ///
    /// # Errors
    /// [`OpenError`]: each says what to do.
    pub fn new(_options: &Options, _rights: Rights) -> Result<Self, OpenError> {
        Ok(Self { health: Arc::default() })
    }

    /// Logs in, and proves that there is a KV engine of version 2 at the mount.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another try may succeed with nobody doing anything, [`StoreError::Config`] if not.
    pub async fn connect(&self) -> Result<(), StoreError> {
        Err(absent())
    }

    /// Keeps the token alive, and logs in again where that fails or has not succeeded yet, until `stop`.
    pub async fn keep_connected(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }

    /// What is there, for a person: the server and its version, the KV engine, the time left to the token.
    ///
    /// # Errors
    /// As for [`Vault::connect`].
    pub async fn describe(&self) -> Result<String, StoreError> {
        Err(absent())
    }

    /// How the server is.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }
}

fn absent() -> StoreError {
    StoreError::Config("absent".to_owned())
}

#[async_trait]
impl Store for Vault {
    async fn read(&self, _id: &RecordId) -> Result<Option<Record>, StoreError> {
        Err(absent())
    }

    async fn write(&self, _id: &RecordId, _value: &Secret, _expected: Expected) -> Result<Version, StoreError> {
        Err(absent())
    }

    async fn delete(&self, _id: &RecordId, _expected: Version) -> Result<(), StoreError> {
        Err(absent())
    }

    async fn list(
        &self,
        _kind: RecordKind,
        _after: Option<&RecordId>,
        _limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        Err(absent())
    }
}

#[async_trait]
impl Feed for Vault {
    async fn position(&self) -> Result<Position, StoreError> {
        Err(absent())
    }

    async fn changes(&self, _seen: &Position, _at_least: &Position) -> Result<Changes, StoreError> {
        Err(absent())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}
