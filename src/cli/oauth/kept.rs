//! Refresh tokens that are no longer needed.

use anyhow::Result;

use crate::broker::{Directory, DirectoryError};
use crate::cli::exit::{self, Failure};
use crate::model::{RecordId, RecordKind};

/// A node may be writing the token just then: so often is it tried.
const TRIES: usize = 5;

/// Removes the refresh token of a credential that is used no more, if it has one.
///
/// # Errors
/// If it is still there: what it was for has been done by then, and the error says what is left to do.
pub(in crate::cli) async fn forget(directory: &Directory, credential: &str) -> Result<()> {
    let mut last = None;
    for _ in 0..TRIES {
        let removed = match directory.token(credential, true).await {
            Ok(None) => return Ok(()),
            Ok(Some(found)) => directory.remove_token(credential, found.version).await,
            Err(DirectoryError::Malformed { .. }) => {
                let id = RecordId::new(RecordKind::Token, credential);
                directory.remove_damaged(&id).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => return Ok(()),
            Err(DirectoryError::Changed { .. } | DirectoryError::Removed { .. }) => {}
            Err(error) => {
                last = Some(error);
                break;
            }
        }
    }
    let why = last.map_or_else(|| "it is being changed again and again".to_owned(), |error| error.to_string());
    let message = format!(
        "its refresh token is still in the store ({why}); nobody uses it, but revoke it in the provider's portal"
    );
    Err(Failure::new(exit::TEMPORARY, message).into())
}
