//! Tokens by a refresh token. A new one that comes with an answer is stored before it is used for anything, and what another
//! node stored is believed before what this one has.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::super::failure::TokenFailure;
use super::super::{Granted, KeptError, Replaced};
use super::flights::Answered;
use super::shelf::{Entry, Key, Unsaved};
use super::trouble::Backoff;
use super::{Tokens, Wanted};
use crate::model::Secret;

/// Time for the store: a flight is not to hang with it.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// When to look for what another node may have got: at once, and when it has had time to store it. Once for each token that
/// is called dead.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1500)];

impl Tokens {
    pub(super) async fn refresh(&self, key: &Key, wanted: &Wanted) -> Result<Granted, TokenFailure> {
        self.save(key).await?;
        let id = &wanted.kept_under;
        let mut token = self.kept(key, id).await?;
        let mut answered = self.present(key, wanted, &token).await;
        if answered.granted.as_ref().is_err_and(TokenFailure::wants_other_token) {
            let Some(other) = self.other(key, id).await else { return answered.granted };
            token = other;
            answered = self.present(key, wanted, &token).await;
        }
        let Answered { granted, refresh_token } = answered;
        if let Some(new) = refresh_token.filter(|new| *new != token) {
            if let Some(entry) = self.shelf().get_mut(key) {
                entry.unsaved = Some(Unsaved { credential: id.clone(), old: token, new });
            }
            match self.save(key).await {
                // It was removed meanwhile: nobody wants its tokens any more.
                Err(failure) if failure.wants_other_token() => return Err(failure),
                Err(failure) => {
                    tracing::warn!(credential = %id, %failure, "a new refresh token is not stored yet");
                }
                Ok(()) => {}
            }
        }
        granted
    }

    /// Shows a refresh token to the authority, and remembers if it calls it dead.
    async fn present(&self, key: &Key, wanted: &Wanted, token: &Secret) -> Answered {
        let answered = self.request(wanted, Some(token)).await;
        if let Err(failure) = &answered.granted
            && failure.wants_other_token()
            && let Some(entry) = self.shelf().get_mut(key)
        {
            entry.bury(token, failure);
        }
        answered
    }

    /// A token that is not dead: where another node was faster, the authority gave none to this one.
    async fn other(&self, key: &Key, id: &str) -> Option<Secret> {
        for pause in LOOKS {
            sleep(pause).await;
            let kept = self.read(id, true).await.ok().flatten();
            let other = kept.filter(|other| self.dead(key, other).is_none());
            if other.is_some() {
                return other;
            }
        }
        None
    }

    /// What the authority said of that token, if it is dead.
    fn dead(&self, key: &Key, token: &Secret) -> Option<TokenFailure> {
        self.shelf().get(key).and_then(|entry| entry.dead(token).cloned())
    }

    /// The token of the last write anywhere. While the store cannot tell, that which is remembered has to do.
    async fn kept(&self, key: &Key, id: &str) -> Result<Secret, TokenFailure> {
        match self.read(id, true).await {
            Ok(Some(token)) => self.dead(key, &token).map_or(Ok(token), Err),
            Ok(None) => Err(TokenFailure::no_refresh_token()),
            Err(error) => {
                let remembered = self.read(id, false).await.ok().flatten();
                remembered
                    .filter(|token| self.dead(key, token).is_none())
                    .ok_or_else(|| TokenFailure::from_kept(&error))
            }
        }
    }

    async fn read(&self, id: &str, latest: bool) -> Result<Option<Secret>, KeptError> {
        timeout(STORE_TIMEOUT, self.refresh_tokens.read(id, latest)).await.unwrap_or_else(|_| Err(late()))
    }

    /// Stores what is not stored yet under that key.
    async fn save(&self, key: &Key) -> Result<(), TokenFailure> {
        let unsaved = self.shelf().get(key).and_then(|entry| entry.unsaved.clone());
        let Some(unsaved) = unsaved else { return Ok(()) };
        let Unsaved { credential, old, new } = &unsaved;
        let replacing = self.refresh_tokens.replace(credential, old, new);
        let replaced = timeout(STORE_TIMEOUT, replacing).await.unwrap_or_else(|_| Err(late()));
        let replaced = replaced.map_err(|error| TokenFailure::from_kept(&error))?;
        if let Some(entry) = self.shelf().get_mut(key).filter(|entry| entry.unsaved.as_ref() == Some(&unsaved)) {
            entry.unsaved = None;
        }
        match replaced {
            Replaced::Done => Ok(()),
            Replaced::Other(_) => {
                tracing::debug!(%credential, "another node stored a refresh token first; that one is used");
                Ok(())
            }
            Replaced::Gone => Err(TokenFailure::no_refresh_token()),
        }
    }

    /// Stores it however long it takes.
    pub(super) async fn keep_saving(&self, key: Key) {
        let mut backoff = Backoff::default();
        while self.shelf().get_mut(&key).is_some_and(Entry::goes_on_saving) {
            sleep(backoff.next()).await;
            self.save_in_time(key.clone()).await;
        }
    }

    /// Stores it if the store answers.
    pub(super) async fn save_in_time(&self, key: Key) {
        if let Err(failure) = self.save(&key).await {
            tracing::debug!(%failure, "a new refresh token is not stored yet");
        }
    }
}

fn late() -> KeptError {
    KeptError(format!("the store does not answer within {STORE_TIMEOUT:?}"))
}
