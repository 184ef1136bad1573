//! As which accounts a client may act. Never wider than was asked for: what is given anew stands in place of what was there,
//! and what has no end or holds from everywhere is told.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::limits::check_class;
use super::{ClientView, find, find_account, new};
use crate::broker::Versioned;
use crate::management::{Desk, Fault, ManagementError, check_new_name};
use crate::model::{AddressPattern, Binding, Delegation, normalise};

/// The account or the mailboxes that a client may act as: one of the two.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[schema(as = ClientBinding)]
#[serde(default, deny_unknown_fields)]
pub struct Bind {
    /// An account.
    pub account: Option<String>,
    /// Mailboxes, one named at each login: `*@contoso.com`, `team-*@contoso.com`.
    pub mailboxes: Option<AddressPattern>,
    /// When the right to these mailboxes ends.
    pub expires: Option<Timestamp>,
    /// Networks from which it holds; without any, all.
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
    /// The class of quota of its sessions: `[limits.class.<name>]`.
    pub class: Option<String>,
}

/// What is to be taken from a client: one of the two.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Unbind {
    /// An account.
    pub account: Option<String>,
    /// The mailboxes of a pattern.
    pub mailboxes: Option<AddressPattern>,
}

/// What a client was bound to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ClientBound)]
pub struct Bound {
    /// The client as it is now.
    #[serde(flatten)]
    pub client: ClientView,
    /// Whether it is new and has no secret.
    pub is_new: bool,
    /// What it may act as now.
    #[serde(skip)]
    pub binding: Binding,
}

/// What was taken from a client.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ClientUnbound)]
pub struct Unbound {
    /// The client as it is now.
    #[serde(flatten)]
    pub client: ClientView,
    /// What it may act as no more, as it was named.
    #[serde(skip)]
    pub named: String,
}

/// Gives a client one more binding, or one of the same pattern in place of the one before. The client is made if it is new.
///
/// # Errors
/// If the account or the class is none, or the delegation would never hold.
pub async fn bind(desk: &Desk, login: &str, bind: Bind) -> Result<Bound, ManagementError> {
    let login = check_new_name(login)?;
    if bind.expires.is_some_and(|end| end <= Timestamp::now()) {
        return Err(ManagementError::invalid("a delegation that expires in the past would never hold"));
    }
    if let Some(class) = &bind.class {
        check_class(desk, class)?;
    }
    let binding = binding(desk, bind).await?;
    let (mut client, version) = match desk.directory.client(login).await? {
        Some(Versioned { record, version, .. }) => (record, Some(version)),
        None => (new(login), None),
    };
    match client.bindings.iter_mut().find(|there| is_same(there, &binding)) {
        Some(there) => *there = binding.clone(),
        None => client.bindings.push(binding.clone()),
    }
    let is_new = version.is_none();
    let version = desk.directory.put_client(&client, version).await?;
    Ok(Bound { client: ClientView::of(Versioned { record: client, version, changed: None }), is_new, binding })
}

async fn binding(desk: &Desk, bind: Bind) -> Result<Binding, ManagementError> {
    let Bind { account, mailboxes, expires, networks, class } = bind;
    match (account, mailboxes) {
        (Some(_), None) if expires.is_some() || !networks.is_empty() || class.is_some() => {
            let message = "an end, networks and a class of their own are for mailboxes; for the client as a whole set them \
                           in its policy";
            Err(ManagementError::new(Fault::Usage, message))
        }
        (Some(account), None) => Ok(Binding::Account(find_account(desk, &account).await?.name)),
        (None, Some(pattern)) => Ok(Binding::Delegation(Delegation { pattern, expires, networks, class })),
        _ => Err(no_choice()),
    }
}

/// Takes a binding from a client.
///
/// # Errors
/// If there is no such client, or it is not bound to that.
pub async fn unbind(desk: &Desk, login: &str, unbind: Unbind) -> Result<Unbound, ManagementError> {
    let Versioned { record: mut client, version, .. } = find(desk, login).await?;
    let named = match (&unbind.account, &unbind.mailboxes) {
        (Some(account), None) => account.clone(),
        (None, Some(pattern)) => pattern.to_string(),
        _ => return Err(no_choice()),
    };
    let is_meant = |there: &Binding| match there {
        Binding::Account(name) => unbind.account.as_deref().is_some_and(|it| normalise(it) == normalise(name)),
        Binding::Delegation(delegation) => unbind.mailboxes.as_ref() == Some(&delegation.pattern),
    };
    let before = client.bindings.len();
    client.bindings.retain(|there| !is_meant(there));
    if client.bindings.len() == before {
        let login = &client.login;
        let message = format!("{login} is not bound to {named}; see `locum client show {login}`");
        return Err(ManagementError::missing(message));
    }
    let version = desk.directory.put_client(&client, Some(version)).await?;
    Ok(Unbound { client: ClientView::of(Versioned { record: client, version, changed: None }), named })
}

impl Bound {
    /// Accounts that it is bound to by their names: with more than one it has to name one at each login.
    pub fn accounts(&self) -> usize {
        self.client.accounts.len()
    }
}

fn no_choice() -> ManagementError {
    ManagementError::new(Fault::Usage, "say which: `account` or `mailboxes`")
}

fn is_same(one: &Binding, other: &Binding) -> bool {
    match (one, other) {
        (Binding::Account(one), Binding::Account(other)) => normalise(one) == normalise(other),
        (Binding::Delegation(one), Binding::Delegation(other)) => one.pattern == other.pattern,
        _ => false,
    }
}
