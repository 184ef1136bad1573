//! Refresh tokens, kept as records that all nodes share.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Directory, DirectoryError, Versioned};
use crate::credential::oauth2::{KeptError, RefreshTokens, Replaced};
use crate::model::{KeptToken, RecordId, RecordKind, Secret};
use crate::store::StoreError;

/// A node may be writing a token that is to go: so often is it tried.
const FORGET_TRIES_MAX: usize = 5;

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

    /// Removes the refresh token that is kept under that id, if there is one.
    ///
    /// # Errors
    /// [`KeptError`]: it is still there, though nobody uses it.
    pub async fn forget(&self, credential: &str) -> Result<(), KeptError> {
        let failed = |error: DirectoryError| KeptError(error.to_string());
        for _ in 0..FORGET_TRIES_MAX {
            let removed = match self.0.token(credential, true).await {
                Ok(None) => return Ok(()),
                Ok(Some(found)) => self.0.remove_token(credential, found.version).await,
                Err(DirectoryError::Malformed { .. }) => {
                    let id = RecordId::new(RecordKind::Token, credential);
                    self.0.remove_damaged(&id).await.map(drop)
                }
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => return Ok(()),
                Err(DirectoryError::Changed { .. } | DirectoryError::Removed { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(KeptError("it is being changed again and again".to_owned()))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Store;
    use crate::store::memory::Memory;

    fn token(text: &str) -> KeptToken {
        let refresh_token = Secret::new(text);
        KeptToken { credential: "c1".into(), refresh_token, obtained: Timestamp::UNIX_EPOCH }
    }

    async fn kept() -> (KeptTokens, Directory) {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let operator = Directory::of_operator(Arc::clone(&store), "alice@one");
        operator.put_token(&token("r0"), None).await.unwrap();
        (KeptTokens::new(Directory::new(store)), operator)
    }

    #[tokio::test]
    async fn a_new_token_takes_the_place_of_the_one_it_came_of() {
        let (kept, operator) = kept().await;
        assert_eq!(kept.read("c1", false).await, Ok(Some(Secret::new("r0"))));
        let (r0, r1) = (Secret::new("r0"), Secret::new("r1"));
        assert_eq!(kept.replace("c1", &r0, &r1).await, Ok(Replaced::Done));
        assert_eq!(kept.read("c1", true).await, Ok(Some(r1.clone())));
        let found = operator.token("c1", true).await.unwrap().unwrap();
        assert!(found.record.obtained > Timestamp::UNIX_EPOCH);
        assert_eq!(found.changed.unwrap().by, "locum");
        // Once more, as after an answer that was lost.
        assert_eq!(kept.replace("c1", &r0, &r1).await, Ok(Replaced::Done));
        assert_eq!(operator.token("c1", true).await.unwrap().unwrap().version, found.version);
    }

    #[tokio::test]
    async fn who_is_slower_is_told_what_is_kept() {
        let (kept, _) = kept().await;
        let [r0, r1, r2] = ["r0", "r1", "r2"].map(Secret::new);
        kept.replace("c1", &r0, &r1).await.unwrap();
        assert_eq!(kept.replace("c1", &r0, &r2).await, Ok(Replaced::Other(r1.clone())));
        assert_eq!(kept.read("c1", true).await, Ok(Some(r1)));
    }

    #[tokio::test]
    async fn what_was_removed_does_not_come_back() {
        let (kept, operator) = kept().await;
        let found = operator.token("c1", true).await.unwrap().unwrap();
        operator.remove_token("c1", found.version).await.unwrap();
        assert_eq!(kept.replace("c1", &Secret::new("r0"), &Secret::new("r1")).await, Ok(Replaced::Gone));
        assert_eq!(kept.read("c1", true).await, Ok(None));
    }

    #[tokio::test]
    async fn of_many_at_once_one_is_kept() {
        let (kept, _) = kept().await;
        let news: Vec<Secret> = (0..20).map(|number| Secret::new(format!("n{number}"))).collect();
        let r0 = Secret::new("r0");
        let replacing = news.iter().map(|new| kept.replace("c1", &r0, new));
        let outcomes = futures_util::future::join_all(replacing).await;
        let done: Vec<&Secret> =
            news.iter().zip(&outcomes).filter(|(_, it)| **it == Ok(Replaced::Done)).map(|it| it.0).collect();
        let [done] = done[..] else { panic!("{outcomes:?}") };
        assert_eq!(kept.read("c1", true).await, Ok(Some(done.clone())));
        let others = outcomes.iter().filter(|it| **it == Ok(Replaced::Other(done.clone()))).count();
        assert_eq!(others, 19);
    }
}
