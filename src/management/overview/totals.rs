//! What is counted while all records are read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::{
    ATTENTION_MAX, AccountTotals, Attention, ClientTotals, DateTotals, ProviderTotals, RotationTotals, Snapshot,
};
use crate::management::reports::{self, Day, Stock, Whole, typed};
use crate::management::{Desk, ManagementError};
use crate::model::{Account, Client, CredentialKind, NextState, SecretSource, Slots, normalise};
use crate::rotation::schedule::{self, Due, Terms, WARNING, Why};
use crate::rotation::{Inventory, Room, tenant_of};

/// A client that was last there longer ago is no client of lately.
const LATELY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is due beside what is due already: a week, as people plan.
const WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// In which order things are to be seen to. Whatever keeps clients out comes first.
const URGENCY: [&str; 12] = [
    "refused",
    "ended",
    "no-credential",
    "failed",
    "ends-soon",
    "secret-ends",
    "client-ends",
    "near-limit",
    "staged",
    "grace-over",
    "too-old",
    "to-delete",
];

/// Reads everything, and says how it stands.
///
/// # Errors
/// If the store fails, or does not let everything be read.
pub(super) async fn read(desk: &Desk) -> Result<Snapshot, ManagementError> {
    let began = Timestamp::now();
    let terms = Terms { max_ages: &desk.options.max_ages, within: WITHIN, now: began };
    let mut count = Count::default();
    let stock = Stock::read(desk, None, |whole| count.look(desk, whole, terms)).await?;
    let now = Timestamp::now();
    let days = reports::days(desk, &stock, now);
    let took_ms = u64::try_from(now.duration_since(began).as_millis()).unwrap_or_default();
    let clients = count.clients(&stock, now);
    let accounts = count.accounts(&stock, now);
    let Count { rotations, inventory, mut attention, .. } = count;
    let mut attention_counts = BTreeMap::new();
    for it in &attention {
        *attention_counts.entry(it.why).or_default() += 1;
    }
    let urgency = |it: &Attention| URGENCY.iter().position(|why| *why == it.why);
    attention.sort_by(|a, b| (urgency(a), a.at, &a.account, &a.client).cmp(&(urgency(b), b.at, &b.account, &b.client)));
    attention.truncate(ATTENTION_MAX);
    Ok(Snapshot {
        as_of: now,
        took_ms,
        accounts,
        clients,
        rotations,
        inventory,
        dates: days.iter().map(DateTotals::of).collect(),
        attention,
        attention_counts,
        seen_unknown: stock.unseen.clone(),
        unreadable: stock.unread(),
        enrolled: reports::enrolled(&stock),
        weak_tls: reports::weak_tls(&stock),
        days,
    })
}

#[derive(Debug, Default)]
struct Count {
    rotations: RotationTotals,
    inventory: BTreeMap<String, ProviderTotals>,
    attention: Vec<Attention>,
}

impl Count {
    /// One record, whole: only so it is known when OAuth2 ends.
    fn look(&mut self, desk: &Desk, whole: Whole<'_>, terms: Terms<'_>) {
        let due = match whole {
            Whole::Account(account) => {
                let profile = desk.profiles.get(&account.upstream).map(|profile| &**profile);
                for (kind, slots) in &account.credentials {
                    self.rotation(slots, terms.now);
                    if *kind == CredentialKind::AppPassword {
                        let totals = self.inventory.entry(account.upstream.clone()).or_default();
                        totals.add(&Inventory::of(slots, *kind, profile));
                    }
                }
                schedule::of_account(account, profile, terms)
            }
            Whole::Tenant(tenant) => {
                self.rotation(&tenant.oauth2, terms.now);
                schedule::of_tenant(tenant, terms)
            }
        };
        self.rotations.stuck += due.iter().filter(|due| due.why == Why::Staged).count();
        self.attention.extend(due.into_iter().map(Attention::of_due));
    }

    fn rotation(&mut self, slots: &Slots, now: Timestamp) {
        if let Some(next) = &slots.next {
            self.rotations.under_way += 1;
            self.rotations.failed += usize::from(matches!(next.state, NextState::Failed { .. }));
        }
        if let Some(previous) = &slots.previous {
            let is_over = previous.retire_at <= now;
            *(if is_over { &mut self.rotations.to_retire } else { &mut self.rotations.overlap }) += 1;
        }
    }

    fn accounts(&mut self, stock: &Stock, now: Timestamp) -> AccountTotals {
        let mut totals =
            AccountTotals { total: stock.accounts.len(), domains: stock.tenants.len(), ..AccountTotals::default() };
        for account in &stock.accounts {
            *totals.by_upstream.entry(account.upstream.clone()).or_default() += 1;
            totals.without_client += usize::from(stock.clients_of(&account.name).next().is_none());
            let has_own = account.credentials.values().any(|slots| slots.current.is_some());
            if !has_own && tenant_of(account, &stock.tenants).is_none_or(|tenant| tenant.oauth2.current.is_none()) {
                totals.without_credential += 1;
                self.attention.push(Attention::no_credential(account, now));
            }
        }
        totals
    }

    fn clients(&mut self, stock: &Stock, now: Timestamp) -> ClientTotals {
        let lately = now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
        let seen = stock.sightings.seen.iter().filter(|seen| seen.logins > 0 && seen.last_seen >= lately);
        let seen: BTreeSet<String> = seen.map(|seen| normalise(&seen.key.login)).collect();
        let mut totals = ClientTotals {
            total: stock.clients.len(),
            seen_lately: seen.len(),
            weak_tls: stock.sightings.seen.iter().filter(|seen| seen.has_weak_tls()).count(),
            ..ClientTotals::default()
        };
        for client in &stock.clients {
            totals.secrets += client.secrets.len();
            totals.without_secret += usize::from(client.secrets.is_empty());
            totals.enrolled += client.secrets.iter().filter(|it| it.source != SecretSource::Issued).count();
            let end = client.policy.expires;
            totals.ended += usize::from(end.is_some_and(|end| end <= now));
            self.ends(client, now);
        }
        totals
    }

    /// What of a client ends soon. What has ended keeps nobody waiting: it was meant to.
    fn ends(&mut self, client: &Client, now: Timestamp) {
        let is_soon = |end: &Timestamp| *end > now && *end <= now + WARNING;
        if let Some(end) = client.policy.expires.filter(is_soon) {
            self.attention.push(Attention::of_client(client, None, end));
        }
        for secret in &client.secrets {
            if let Some(end) = secret.expires.filter(is_soon) {
                self.attention.push(Attention::of_client(client, Some(&secret.id), end));
            }
        }
    }
}

impl ProviderTotals {
    fn add(&mut self, inventory: &Inventory<'_>) {
        self.app_passwords += inventory.count;
        self.app_passwords_max = inventory.max;
        self.to_delete += inventory.to_delete.len();
        match inventory.room() {
            Room::Enough => {}
            Room::Little { .. } => self.nearly_full += 1,
            Room::Full => self.full += 1,
        }
    }
}

impl DateTotals {
    fn of(day: &Day) -> Self {
        let breaking = day.accounts.iter().filter(|hit| !hit.is_safe);
        let clients: BTreeSet<&str> =
            breaking.clone().flat_map(|hit| hit.clients.iter().map(|it| it.client.as_str())).collect();
        Self {
            upstream: day.upstream.clone(),
            day: day.day,
            passed: day.passed,
            protocols: day.protocols.clone(),
            ends: day.ends,
            what: day.what.clone(),
            accounts: day.accounts.len(),
            breaking: breaking.count(),
            clients: clients.len(),
        }
    }
}

impl Attention {
    fn of_due(due: Due) -> Self {
        let Due { subject, why, credential, at, todo } = due;
        let text = why.to_string();
        let (account, kind, credential) = (Some(typed(&subject)), Some(subject.kind()), Some(credential));
        Self { why: why.name(), text, account, client: None, kind, credential, at, todo }
    }

    fn no_credential(account: &Account, now: Timestamp) -> Self {
        Self {
            why: "no-credential",
            text: "it has no credential, so nobody gets in".to_owned(),
            account: Some(account.name.clone()),
            client: None,
            kind: None,
            credential: None,
            at: now,
            todo: format!("locum account set {0}, or locum oauth login {0}", account.name),
        }
    }

    fn of_client(client: &Client, secret: Option<&str>, at: Timestamp) -> Self {
        let login = &client.login;
        let (why, text, todo) = match secret {
            Some(_) => ("secret-ends", "its secret ends soon", format!("locum client issue {login}")),
            None => ("client-ends", "the client ends soon", format!("locum client set {login} --expires TIME")),
        };
        Self {
            why,
            text: text.to_owned(),
            account: None,
            client: Some(login.clone()),
            kind: None,
            credential: secret.map(str::to_owned),
            at,
            todo,
        }
    }
}
