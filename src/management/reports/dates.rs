//! What ends on which of a provider's days: which accounts, which clients by them, and what to do. Pure, over a stock.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use super::Stock;
use crate::management::Desk;
use crate::model::{CredentialKind, Protocol, ProviderDate, SecretSource, Sighting, normalise};
use crate::rotation::{Impact, Instead, impacts, tenant_of};

/// One day of one provider.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ProviderDay)]
pub struct Day {
    /// The upstream profile.
    pub upstream: String,
    /// The first day; nothing where it is announced and no day is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
    /// Whether it is over.
    pub passed: bool,
    /// By which protocols.
    pub protocols: Vec<Protocol>,
    /// The kind of credential that is not taken from then on; nothing where that concerns none: a notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<CredentialKind>,
    /// What changes, for people.
    pub what: String,
    /// The accounts that are entered with what ends.
    pub accounts: Vec<Hit>,
}

/// An account that is entered with what ends.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ProviderDayAccount)]
pub struct Hit {
    /// The account.
    pub account: String,
    /// By which protocols it is entered with that.
    pub protocols: Vec<Protocol>,
    /// What there is in its place, for people.
    pub instead: String,
    /// What to do, for people.
    pub todo: String,
    /// Clients by it.
    pub clients: Vec<Use>,
    /// Whether clients go on without anybody doing anything.
    #[serde(skip)]
    pub is_safe: bool,
}

/// A client by such an account.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ProviderDayClient)]
pub struct Use {
    /// Its login name.
    pub client: String,
    /// How it was seen; nothing for one that never was.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// How a client was seen.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ProviderDaySeen)]
pub struct Seen {
    /// What it speaks.
    pub protocol: Protocol,
    /// The listener that it comes through.
    pub listener: String,
    /// The version of TLS, or `none`.
    pub tls: String,
    /// The command or mechanism that it logs in by.
    pub method: String,
    /// The id of its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// How that secret came here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<SecretSource>,
    /// Whether it acts for others.
    pub delegated: bool,
    /// When it was last there.
    pub last_seen: Timestamp,
    /// How often.
    pub logins: u64,
    /// Messages that it submitted, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
}

/// All days of all providers, the earliest first; those without a day last.
pub fn days(desk: &Desk, stock: &Stock, now: Timestamp) -> Vec<Day> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut days = Vec::new();
    for (name, profile) in desk.profiles.iter() {
        let mut found: Vec<Day> = profile.dates.iter().map(|date| Day::of(name, date, today)).collect();
        if !found.is_empty() {
            for account in stock.accounts.iter().filter(|account| account.upstream == *name) {
                for impact in impacts(account, tenant_of(account, &stock.tenants), profile) {
                    let at = profile.dates.iter().position(|date| std::ptr::eq(date, impact.date));
                    if let Some(day) = at.and_then(|at| found.get_mut(at)) {
                        day.accounts.push(Hit::of(&account.name, impact, stock));
                    }
                }
            }
        }
        days.append(&mut found);
    }
    days.sort_by_key(|day| (day.day.is_none(), day.day));
    days
}

impl Day {
    fn of(upstream: &str, date: &ProviderDate, today: Date) -> Self {
        let ProviderDate { day, protocols, ends, what } = date.clone();
        let passed = day.is_some_and(|day| day <= today);
        Self { upstream: upstream.to_owned(), day, passed, protocols, ends, what, accounts: Vec::new() }
    }
}

impl Hit {
    fn of(account: &str, impact: Impact<'_>, stock: &Stock) -> Self {
        let Impact { date: _, protocols, instead } = impact;
        let seen: Vec<&Sighting> = stock.seen_of(account).filter(|it| protocols.contains(&it.key.protocol)).collect();
        let there: BTreeSet<String> = seen.iter().map(|it| normalise(&it.key.login)).collect();
        let never = stock.clients_of(account).filter(|client| {
            let own = &client.policy.protocols;
            let may = own.is_empty() || own.iter().any(|it| protocols.contains(it));
            may && !there.contains(&normalise(&client.login))
        });
        let clients = seen.iter().map(|seen| Use { client: seen.key.login.clone(), seen: Some(Seen::of(seen)) });
        let never = never.map(|client| Use { client: client.login.clone(), seen: None });
        Self {
            account: account.to_owned(),
            instead: instead.described(),
            todo: instead.remedy(account),
            is_safe: matches!(instead, Instead::Next { .. }),
            clients: clients.chain(never).collect(),
            protocols,
        }
    }
}

impl Seen {
    fn of(seen: &Sighting) -> Self {
        let key = &seen.key;
        Self {
            protocol: key.protocol,
            listener: key.listener.clone(),
            tls: key.tls.clone().unwrap_or_else(|| "none".to_owned()),
            method: key.method.clone(),
            secret: key.secret.clone(),
            enrolled: seen.source,
            delegated: seen.delegated,
            last_seen: seen.last_seen,
            logins: seen.logins,
            messages: seen.messages,
        }
    }
}
