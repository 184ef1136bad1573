//! All that an inventory is made of, read once: accounts, domains, clients, and who was seen. No secret is kept of it.

use std::collections::{BTreeSet, HashMap};

use super::usage::read_if_allowed;
use crate::management::{Damaged, Desk, ManagementError};
use crate::model::{Account, Client, Material, Sighting, Slot, Slots, Tenant, normalise};
use crate::rotation::Sightings;

/// Records asked for in one go. A server that has no pages of its own makes the whole list each time.
const PAGE: usize = 5_000;

/// What there is.
#[derive(Debug, Default)]
pub struct Stock {
    /// Accounts by name, less what their credentials are made of.
    pub accounts: Vec<Account>,
    /// The credentials of domains, less what they are made of.
    pub tenants: Vec<Tenant>,
    /// Clients by login name, less their verifiers.
    pub clients: Vec<Client>,
    /// Who was seen.
    pub sightings: Sightings,
    /// Why it is not known who was seen.
    pub unseen: Option<String>,
    /// Records that cannot be read.
    pub damaged: Vec<Damaged>,
    clients_of: HashMap<String, Vec<usize>>,
    seen_of: HashMap<String, Vec<usize>>,
    at: HashMap<String, usize>,
}

impl Stock {
    /// Of all accounts, or of those of a domain. `look` sees each account and each domain's credential whole, before what it is
    /// made of is dropped.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn read(
        desk: &Desk,
        domain: Option<&str>,
        mut look: impl FnMut(Whole<'_>),
    ) -> Result<Self, ManagementError> {
        let mut stock = Self::default();
        stock.read_accounts(desk, domain, &mut look).await?;
        stock.read_clients(desk).await?;
        (stock.sightings, stock.unseen) = read_if_allowed(desk).await?;
        if domain.is_some() {
            let names: BTreeSet<String> = stock.accounts.iter().map(|account| normalise(&account.name)).collect();
            let is_meant = |name: Option<&str>| name.is_some_and(|name| names.contains(&normalise(name)));
            stock.clients.retain(|client| client.bindings.iter().any(|it| is_meant(it.account())));
            stock.sightings.seen.retain(|seen| is_meant(seen.key.account.as_deref()));
        }
        stock.index();
        Ok(stock)
    }

    /// How many records cannot be read.
    pub fn unread(&self) -> usize {
        self.damaged.len() + self.sightings.unread
    }

    /// The clients that are bound to an account by its name.
    pub fn clients_of(&self, account: &str) -> impl Iterator<Item = &Client> {
        let found = self.clients_of.get(&normalise(account)).map(Vec::as_slice).unwrap_or_default();
        found.iter().filter_map(|at| self.clients.get(*at))
    }

    /// Who was seen acting as an account.
    pub fn seen_of(&self, account: &str) -> impl Iterator<Item = &Sighting> {
        let found = self.seen_of.get(&normalise(account)).map(Vec::as_slice).unwrap_or_default();
        found.iter().filter_map(|at| self.sightings.seen.get(*at))
    }

    /// The account of that name.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(*self.at.get(&normalise(name))?)
    }

    async fn read_accounts(
        &mut self,
        desk: &Desk,
        domain: Option<&str>,
        look: &mut impl FnMut(Whole<'_>),
    ) -> Result<(), ManagementError> {
        let domain = domain.map(|domain| normalise(domain.trim().trim_start_matches('@')));
        let is_meant = |own: Option<&str>| match &domain {
            Some(domain) => own.is_some_and(|own| normalise(own) == *domain),
            None => true,
        };
        let mut after = None;
        loop {
            let page = desk.directory.accounts_page(after.as_ref(), PAGE).await?;
            self.damaged.extend(Damaged::all(page.damaged));
            for mut account in page.records.into_iter().map(|found| found.record) {
                if is_meant(account.name.rsplit_once('@').map(|(_, domain)| domain)) {
                    look(Whole::Account(&account));
                    account.credentials.values_mut().for_each(strip);
                    self.accounts.push(account);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = desk.directory.tenants_page(after.as_ref(), PAGE).await?;
            self.damaged.extend(Damaged::all(page.damaged));
            for mut tenant in page.records.into_iter().map(|found| found.record) {
                if is_meant(Some(&tenant.domain)) {
                    look(Whole::Tenant(&tenant));
                    strip(&mut tenant.oauth2);
                    self.tenants.push(tenant);
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.accounts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    async fn read_clients(&mut self, desk: &Desk) -> Result<(), ManagementError> {
        let mut after = None;
        loop {
            let page = desk.directory.clients_page(after.as_ref(), PAGE).await?;
            self.damaged.extend(Damaged::all(page.damaged));
            self.clients.extend(page.records.into_iter().map(|found| found.record));
            after = page.next;
            if after.is_none() {
                self.clients.sort_by(|a, b| a.login.cmp(&b.login));
                return Ok(());
            }
        }
    }

    fn index(&mut self) {
        for (at, client) in self.clients.iter().enumerate() {
            for account in client.bindings.iter().filter_map(|it| it.account()) {
                let of_account = self.clients_of.entry(normalise(account)).or_default();
                if of_account.last() != Some(&at) {
                    of_account.push(at);
                }
            }
        }
        for (at, seen) in self.sightings.seen.iter().enumerate() {
            if let Some(account) = &seen.key.account {
                self.seen_of.entry(normalise(account)).or_default().push(at);
            }
        }
        self.at = self.accounts.iter().enumerate().map(|(at, account)| (normalise(&account.name), at)).collect();
    }
}

/// A record as it is stored.
#[derive(Debug, Clone, Copy)]
pub enum Whole<'r> {
    /// An account.
    Account(&'r Account),
    /// The credential of a domain.
    Tenant(&'r Tenant),
}

/// Drops what is secret, and what was done long ago.
fn strip(slots: &mut Slots) {
    slots.history = Vec::new();
    for slot in Slot::ALL {
        let stored = match slot {
            Slot::Current => slots.current.as_mut(),
            Slot::Next => slots.next.as_mut().map(|next| &mut next.credential),
            Slot::Previous => slots.previous.as_mut().map(|previous| &mut previous.credential),
        };
        if let Some(stored) = stored {
            stored.material = Material::default();
        }
    }
}
