//! Clients: login names, what proves them, as which accounts they may act, and what bounds them. What is told of a client
//! never holds a secret or a verifier, but for the secret that was made just now ([`Issued`]).

mod bind;
mod change;
mod import;
mod issue;
mod limits;
mod revoke;
mod view;

use super::{Desk, ManagementError, Page, Paging, check_name};
use crate::broker::Versioned;
use crate::model::{Account, Binding, Client, Policy, RecordKind, normalise};

pub use bind::{Bind, Bound, Unbind, Unbound, bind, unbind};
pub use change::{Add, Changed, Set, add, set};
pub use import::{Bindings, Import, ImportRow, Imported, Planned, Proof, ROWS_MAX, Row, import, plan, rows_of_one};
pub use issue::{Handed, Issue, Issued, IssuedOnce, TTL_MAX, TTL_MIN, Weakness, issue};
pub use limits::{Clear, Limits};
pub use revoke::{OpenWindow, Revoked, revoke, revoke_secret};
pub use view::{ClientView, SecretView};

/// Paging of all clients.
///
/// # Errors
/// If the part begins nowhere, or the store fails.
pub async fn list(desk: &Desk, paging: &Paging) -> Result<Page<ClientView>, ManagementError> {
    let after = paging.record(RecordKind::Client)?;
    let page = desk.directory.clients_page(after.as_ref(), paging.limit).await?;
    let mut page = Page::of(page, ClientView::of);
    page.items.sort_by(|a, b| a.login.cmp(&b.login));
    Ok(page)
}

/// One client.
///
/// # Errors
/// If there is none of that login name.
pub async fn show(desk: &Desk, login: &str) -> Result<ClientView, ManagementError> {
    Ok(ClientView::of(find(desk, login).await?))
}

async fn find(desk: &Desk, login: &str) -> Result<Versioned<Client>, ManagementError> {
    let login = check_name(login)?;
    let missing = || ManagementError::missing(format!("there is no client {login}; see `locum client list`"));
    desk.directory.client(login).await?.ok_or_else(missing)
}

async fn find_account(desk: &Desk, name: &str) -> Result<Account, ManagementError> {
    let name = check_name(name)?;
    let missing = || ManagementError::missing(format!("there is no account {name}; see `locum account list`"));
    Ok(desk.directory.account(name).await?.ok_or_else(missing)?.record)
}

/// One that has nothing yet.
fn new(login: &str) -> Client {
    Client { login: login.to_owned(), secrets: Vec::new(), bindings: Vec::new(), policy: Policy::default() }
}

fn is_bound(client: &Client, account: &str) -> bool {
    client.bindings.iter().filter_map(Binding::account).any(|bound| normalise(bound) == normalise(account))
}

/// Accounts that it is bound to by their names. With more than one it has to name one at each login.
fn accounts_of(client: &Client) -> usize {
    client.bindings.iter().filter_map(Binding::account).count()
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}
