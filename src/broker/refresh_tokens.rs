//! Refresh tokens, kept as records that all nodes share.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Directory, DirectoryError, Versioned};
use crate::credential::oauth2::{KeptError, RefreshTokens, Replaced};
use crate::model::{KeptToken, Secret};
use crate::store::StoreError;

/// Attempts to write over a record that others write, too, without changing the token in it.
const ATTEMPTS_MAX: usize = 3;

/// Refresh tokens in the records of a store.
#[derive(Debug, Clone)]
pub struct KeptTokens(Directory);

impl KeptTokens {
    /// The refresh tokens of that directory.
    pub fn new(directory: Directory) -> Self {
        Self(directory)
    }

    async fn found(&self, credential: &str, latest: bool) -> Result<Option<Versioned<KeptToken>>, KeptError> {
        self.0.token(credential, latest).await.map_err(|error| KeptError(error.to_string()))
    }
}

#[async_trait]
impl RefreshTokens for KeptTokens {
    async fn read(&self, credential: &str, latest: bool) -> Result<Option<Secret>, KeptError> {
        Ok(self.found(credential, latest).await?.map(|found| found.record.refresh_token))
    }

    async fn replace(&self, credential: &str, old: &Secret, new: &Secret) -> Result<Replaced, KeptError> {
        for _ in 0..ATTEMPTS_MAX {
            let Some(found) = self.found(credential, true).await? else { return Ok(Replaced::Gone) };
            let kept = found.record.refresh_token;
            if kept == *new {
                return Ok(Replaced::Done);
            }
            if kept != *old {
                return Ok(Replaced::Other(kept));
            }
            let token =
                KeptToken { credential: credential.to_owned(), refresh_token: new.clone(), obtained: Timestamp::now() };
            match self.0.put_token(&token, Some(found.version)).await {
                Ok(_) => return Ok(Replaced::Done),
                // Another node was faster. What it wrote is seen next time round.
                Err(
                    DirectoryError::Changed { .. }
                    | DirectoryError::Removed { .. }
                    | DirectoryError::Store(StoreError::Conflict { .. }),
                ) => {}
                Err(error) => return Err(KeptError(error.to_string())),
            }
        }
        Err(KeptError("others keep writing the record".to_owned()))
    }
}
