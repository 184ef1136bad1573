//! What is written down of a client that enrols: its record, and its account's if there is none. Each is one compare-and-set,
//! so that of two who come at once one wins. It must never replace a credential that an account has.

use jiff::Timestamp;

use crate::broker::client_secret::ChooseError;
use crate::broker::{Directory, DirectoryError, Unproven, Versioned};
use crate::model::{Account, Binding, Client, ClientSecret, CredentialKind, Policy, normalise};
use crate::store::StoreError;

/// Why something could not be written down.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// The password could not be made a client's secret.
    #[error(transparent)]
    Hash(#[from] ChooseError),
    /// The store did not take it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The account has become another one meanwhile.
    #[error("the account was made by somebody else meanwhile, at another upstream")]
    AccountElsewhere,
}

impl WriteError {
    /// Whether somebody else wrote first.
    pub(super) fn is_overtaken(&self) -> bool {
        match self {
            Self::Directory(
                DirectoryError::Changed { .. }
                | DirectoryError::Removed { .. }
                | DirectoryError::Store(StoreError::Conflict { .. }),
            )
            | Self::AccountElsewhere => true,
            Self::Directory(_) | Self::Hash(_) => false,
        }
    }

    /// Whether the same may succeed later with nobody doing anything.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Directory(error) => error.is_transient(),
            Self::Hash(error) => matches!(error, ChooseError::Busy(_)),
            Self::AccountElsewhere => true,
        }
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Directory(DirectoryError::Store(StoreError::Config(_))) => {
                "give this node the rights of config/deploy/vault/locum-enrolment.hcl for as long as the window is open, or \
                 close the window"
            }
            _ if self.is_transient() => "nothing: the next login of the client tries again",
            _ => "make the client with `locum client add`, and issue it a secret",
        }
    }
}

/// The client of that login, with that secret.
pub(super) fn client_with(unproven: &Unproven, secret: ClientSecret) -> Client {
    let login = unproven.login().to_owned();
    let known = unproven.client().map(|found| found.record.clone());
    let mut client = known.unwrap_or(Client { login, secrets: vec![], bindings: vec![], policy: Policy::default() });
    client.secrets.push(secret);
    if client.bindings.is_empty() {
        client.bindings.push(Binding::Account(unproven.account().to_owned()));
    }
    client
}

/// Writes the client, if nobody has written it since it was looked at.
pub(super) async fn put_client(directory: &Directory, client: &Client, unproven: &Unproven) -> Result<(), WriteError> {
    let version = unproven.client().map(|found| found.version);
    directory.put_client(client, version).await?;
    Ok(())
}

/// Gives the account what was presented, if it has no credential. Whether it was made.
pub(super) async fn put_account(
    directory: &Directory,
    unproven: &Unproven,
    now: Timestamp,
) -> Result<bool, WriteError> {
    let mut made = unproven.new_account();
    if let Some(slots) = made.credentials.get_mut(&CredentialKind::AppPassword)
        && let Some(current) = &mut slots.current
    {
        current.verified = Some(now);
    }
    match unproven.recorded() {
        Some(found) => fill(directory, found.clone(), made).await.map(|()| false),
        None => match directory.put_account(&made, None).await {
            Ok(_) => Ok(true),
            // By another login for the same mailbox, as a rule.
            Err(error @ DirectoryError::Changed { .. }) => {
                let Some(found) = directory.latest_account(&made.name).await? else { return Err(error.into()) };
                if found.record.upstream != made.upstream || has_other_names(&found.record) {
                    return Err(WriteError::AccountElsewhere);
                }
                fill(directory, found, made).await.map(|()| false)
            }
            Err(error) => Err(error.into()),
        },
    }
}

/// Takes over the credential of `made` where the account has none at all.
async fn fill(directory: &Directory, mut found: Versioned<Account>, made: Account) -> Result<(), WriteError> {
    let has_any = found.record.credentials.values().any(|slots| slots.current.is_some() || slots.next.is_some());
    if has_any {
        return Ok(());
    }
    for (kind, slots) in made.credentials {
        found.record.credentials.entry(kind).or_default().current = slots.current;
    }
    directory.put_account(&found.record, Some(found.version)).await?;
    Ok(())
}

fn has_other_names(account: &Account) -> bool {
    let names = account.identity.all.iter().chain(account.identity.by_protocol.values());
    names.into_iter().any(|name| normalise(name) != normalise(&account.name))
}
