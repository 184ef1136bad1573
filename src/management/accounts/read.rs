//! Where accounts are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::view::AccountView;
use crate::broker::{Directory, Versioned};
use crate::management::given::check_name;
use crate::management::{Desk, Fault, ManagementError, Page, Paging};
use crate::model::{Account, Profile, RecordKind};

/// A part of all accounts.
///
/// # Errors
/// See [`ManagementError`]; a record that is damaged is none.
pub async fn list(desk: &Desk, paging: &Paging) -> Result<Page<AccountView>, ManagementError> {
    let after = paging.record(RecordKind::Account)?;
    let page = desk.directory.accounts_page(after.as_ref(), paging.limit).await?;
    let mut page = Page::of(page, AccountView::of);
    page.items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(page)
}

/// One account.
///
/// # Errors
/// If there is none of that name; see [`ManagementError`].
pub async fn find(desk: &Desk, name: &str) -> Result<AccountView, ManagementError> {
    record(&desk.directory, name).await.map(AccountView::of)
}

/// The record of an account.
///
/// # Errors
/// As for [`find`].
pub async fn record(directory: &Directory, name: &str) -> Result<Versioned<Account>, ManagementError> {
    let name = check_name(name)?;
    let missing = || ManagementError::missing(format!("there is no account {name}; see `locum account list`"));
    directory.account(name).await?.ok_or_else(missing)
}

/// The upstream of that name, among these.
///
/// # Errors
/// If there is none of that name.
pub fn profile_of<'p>(
    profiles: &'p BTreeMap<String, Arc<Profile>>,
    upstream: &str,
) -> Result<&'p Profile, ManagementError> {
    profiles.get(upstream).map(|profile| &**profile).ok_or_else(|| {
        let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
        let message = format!("the configuration has no upstream {upstream}; it has: {}", known.join(", "));
        ManagementError::new(Fault::Usage, message)
    })
}
