//! Refresh tokens that are no longer needed.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::broker::{Directory, KeptTokens};
use crate::cli::exit::{self, Failure};
use crate::credential::oauth2::kept_in;
use crate::model::Slots;

/// Removes the refresh tokens of places that are no more.
///
/// # Errors
/// As for [`forget`].
pub(in crate::cli) async fn forget_all(directory: &Directory, slots: Option<&Slots>) -> Result<()> {
    forget(directory, &slots.map(kept_in).unwrap_or_default(), &BTreeSet::new()).await
}

/// Removes the refresh tokens that were needed before and are not needed now.
///
/// # Errors
/// If one is still there: what it was for has been done by then, and the error says what is left to do.
pub(in crate::cli) async fn forget(
    directory: &Directory,
    before: &BTreeSet<String>,
    now: &BTreeSet<String>,
) -> Result<()> {
    let kept = KeptTokens::new(directory.clone());
    let mut failed = None;
    for id in before.difference(now) {
        failed = kept.forget(id).await.err().or(failed);
    }
    let Some(why) = failed else { return Ok(()) };
    let message = format!(
        "its refresh token is still in the store ({why}); nobody uses it, but revoke it in the provider's portal"
    );
    Err(Failure::new(exit::TEMPORARY, message).into())
}
