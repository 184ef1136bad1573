//! All that an inventory is made of, read once: accounts, domains, clients, and who was seen.

use std::collections::BTreeSet;

use anyhow::Result;

use super::usage::read_if_allowed;
use crate::broker::{Directory, DirectoryError};
use crate::cli::output;
use crate::cli::places;
use crate::model::{Account, Client, RecordId, Tenant, normalise};
use crate::rotation::Sightings;

/// Records asked for in one go.
const PAGE: usize = 5_000;

/// What there is.
pub(super) struct Stock {
    pub(super) accounts: Vec<Account>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) clients: Vec<Client>,
    pub(super) sightings: Sightings,
    /// Why it is not known who was seen.
    pub(super) unseen: Option<String>,
    /// Records that cannot be read.
    pub(super) unread: usize,
}

impl Stock {
    /// Of all accounts, or of those of a domain.
    pub(super) async fn read(directory: &Directory, domain: Option<&str>) -> Result<Self> {
        let (accounts, tenants, unread) = places::records_of_all(directory, domain).await?;
        let (mut clients, damaged) = clients(directory).await?;
        let (mut sightings, unseen) = read_if_allowed(directory).await?;
        let unread = unread + damaged + sightings.unread;
        if domain.is_some() {
            let names: BTreeSet<String> = accounts.iter().map(|account| normalise(&account.name)).collect();
            let is_meant = |name: Option<&str>| name.is_some_and(|name| names.contains(&normalise(name)));
            clients.retain(|client| client.bindings.iter().any(|it| is_meant(it.account())));
            sightings.seen.retain(|seen| is_meant(seen.key.account.as_deref()));
        }
        Ok(Self { accounts, tenants, clients, sightings, unseen, unread })
    }

    /// The clients that are bound to an account by its name.
    pub(super) fn clients_of(&self, account: &str) -> impl Iterator<Item = &Client> {
        let account = normalise(account);
        let is_bound = move |client: &&Client| {
            client.bindings.iter().filter_map(|it| it.account()).any(|bound| normalise(bound) == account)
        };
        self.clients.iter().filter(is_bound)
    }

    /// The account of that name.
    pub(super) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| normalise(&account.name) == normalise(name))
    }
}

async fn clients(directory: &Directory) -> Result<(Vec<Client>, usize), DirectoryError> {
    let (mut clients, mut damaged) = (Vec::new(), 0);
    let mut after: Option<RecordId> = None;
    loop {
        let page = directory.clients_page(after.as_ref(), PAGE).await?;
        for (_, error) in &page.damaged {
            output::note(format!("locum: {error}"));
        }
        damaged += page.damaged.len();
        clients.extend(page.records.into_iter().map(|found| found.record));
        after = page.next;
        if after.is_none() {
            clients.sort_by(|a: &Client, b| a.login.cmp(&b.login));
            return Ok((clients, damaged));
        }
    }
}
