//! A client that has no secret yet, and what a client may do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Clear, ClientView, Limits, accounts_of, find, find_account, is_bound, new};
use crate::broker::Versioned;
use crate::management::{Desk, Fault, ManagementError, check_new_name};
use crate::model::Binding;

/// A client without a secret: one to be imported, or the first that it presents.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = NewClient)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// The login name that the client uses.
    pub login: String,
    /// The accounts that it acts as.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Where and how it may log in.
    #[serde(default)]
    pub policy: Limits,
}

/// What a client may do from now on.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = ClientChange)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// What takes the place of what was.
    #[serde(default)]
    pub policy: Limits,
    /// What bounds nothing any more. First: what is named takes the place of what is cleared.
    #[serde(default)]
    pub clear: Vec<Clear>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ClientChanged)]
pub struct Changed {
    /// The client as it is now.
    #[serde(flatten)]
    pub client: ClientView,
    /// Whether it is another one than before.
    #[serde(skip)]
    pub is_changed: bool,
    /// Whether it has to name one of its accounts at each login, which only SASL PLAIN can.
    pub must_name_account: bool,
    /// Whether its end has passed, so that it cannot log in.
    pub has_ended: bool,
}

/// Adds it.
///
/// # Errors
/// If there is one already, or an account, a listener or a class is none.
pub async fn add(desk: &Desk, add: Add) -> Result<Changed, ManagementError> {
    let login = check_new_name(&add.login)?;
    if desk.directory.client(login).await?.is_some() {
        let message = format!("there is a client {login} already; change it with `locum client set`");
        return Err(ManagementError::new(Fault::Exists, message));
    }
    let mut client = new(login);
    for name in &add.accounts {
        let account = find_account(desk, name).await?.name;
        if !is_bound(&client, &account) {
            client.bindings.push(Binding::Account(account));
        }
    }
    add.policy.put_into(&mut client.policy, desk)?;
    let version = desk.directory.put_client(&client, None).await?;
    Ok(Changed::of(Versioned { record: client, version, changed: None }, true))
}

/// Changes what it may do. Its secrets and what it is bound to are for others.
///
/// # Errors
/// If there is no such client, nothing was named, or a listener or a class is none.
pub async fn set(desk: &Desk, login: &str, set: Set) -> Result<Changed, ManagementError> {
    if set.policy.is_empty() && set.clear.is_empty() {
        let message = "say what to change, such as --network or --expires, or what to take away with --clear";
        return Err(ManagementError::new(Fault::Usage, message));
    }
    let Versioned { record: mut client, version, changed } = find(desk, login).await?;
    let before = client.policy.clone();
    set.clear.iter().for_each(|part| part.apply(&mut client.policy));
    set.policy.put_into(&mut client.policy, desk)?;
    if client.policy == before {
        return Ok(Changed::of(Versioned { record: client, version, changed }, false));
    }
    let version = desk.directory.put_client(&client, Some(version)).await?;
    Ok(Changed::of(Versioned { record: client, version, changed: None }, true))
}

impl Changed {
    fn of(found: Versioned<crate::model::Client>, is_changed: bool) -> Self {
        let must_name_account = accounts_of(&found.record) > 1;
        let has_ended = found.record.policy.expires.is_some_and(|end| end <= Timestamp::now());
        Self { client: ClientView::of(found), is_changed, must_name_account, has_ended }
    }
}
