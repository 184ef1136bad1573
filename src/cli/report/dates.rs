//! What ends on which of a provider's days: which accounts, which clients by them, and what to do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::stock::Stock;
use crate::cli::output;
use crate::config::Config;
use crate::model::{CredentialKind, Protocol, ProviderDate, SecretSource, Sighting, normalise};
use crate::rotation::{Impact, impacts, tenant_of};

/// Names in one cell of a table: it has to fit a terminal. JSON and CSV have all of them.
const NAMES_MAX: usize = 3;

/// One day of one provider.
#[derive(Debug, Serialize)]
pub(super) struct Day<'s> {
    upstream: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<Date>,
    /// Whether it is over.
    passed: bool,
    protocols: &'s [Protocol],
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<CredentialKind>,
    what: &'s str,
    accounts: Vec<Hit<'s>>,
}

/// An account that is entered with what ends.
#[derive(Debug, Serialize)]
struct Hit<'s> {
    account: &'s str,
    protocols: Vec<Protocol>,
    instead: String,
    todo: String,
    clients: Vec<Use<'s>>,
}

/// A client by such an account.
#[derive(Debug, Serialize)]
struct Use<'s> {
    client: &'s str,
    /// How it was seen; nothing for one that never was.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen<'s>>,
}

#[derive(Debug, Serialize)]
struct Seen<'s> {
    protocol: Protocol,
    listener: &'s str,
    tls: &'s str,
    method: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrolled: Option<SecretSource>,
    delegated: bool,
    last_seen: Timestamp,
    logins: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
}

/// All days of all providers, the earliest first; those without a day last.
pub(super) fn days<'s>(config: &'s Config, stock: &'s Stock, now: Timestamp) -> Vec<Day<'s>> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut days = Vec::new();
    for (name, profile) in &config.upstreams {
        let mut found: Vec<Day<'s>> = profile.dates.iter().map(|date| Day::of(name, date, today)).collect();
        for account in stock.accounts.iter().filter(|account| account.upstream == *name) {
            for impact in impacts(account, tenant_of(account, &stock.tenants), profile) {
                let at = profile.dates.iter().position(|date| std::ptr::eq(date, impact.date));
                if let Some(day) = at.and_then(|at| found.get_mut(at)) {
                    day.accounts.push(Hit::of(&account.name, impact, stock));
                }
            }
        }
        days.append(&mut found);
    }
    days.sort_by_key(|day| (day.day.is_none(), day.day));
    days
}

impl<'s> Day<'s> {
    fn of(upstream: &'s str, date: &'s ProviderDate, today: Date) -> Self {
        let ProviderDate { day, protocols, ends, what } = date;
        let passed = day.is_some_and(|day| day <= today);
        Self { upstream, day: *day, passed, protocols, ends: *ends, what, accounts: Vec::new() }
    }

    fn when(&self) -> String {
        self.day.map_or_else(|| "no day yet".to_owned(), |day| day.to_string())
    }

    fn described(&self) -> String {
        let kind = self.ends.map_or_else(String::new, |kind| format!(" {kind}"));
        let passed = if self.passed { " (passed)" } else { "" };
        format!("{}{passed} {}, {}{kind}: {}", self.when(), self.upstream, listed(self.protocols), self.what)
    }
}

impl<'s> Hit<'s> {
    fn of(account: &'s str, impact: Impact<'_>, stock: &'s Stock) -> Self {
        let Impact { date: _, protocols, instead } = impact;
        let seen: Vec<&Sighting> =
            stock.sightings.of_account(account).filter(|it| protocols.contains(&it.key.protocol)).collect();
        let there: BTreeSet<String> = seen.iter().map(|it| normalise(&it.key.login)).collect();
        let never = stock.clients_of(account).filter(|client| {
            let own = &client.policy.protocols;
            let may = own.is_empty() || own.iter().any(|it| protocols.contains(it));
            may && !there.contains(&normalise(&client.login))
        });
        let clients = seen.iter().map(|seen| Use { client: &seen.key.login, seen: Some(Seen::of(seen)) });
        let never = never.map(|client| Use { client: &client.login, seen: None });
        let clients = clients.chain(never).collect();
        Self { account, instead: instead.described(), todo: instead.remedy(account), protocols, clients }
    }
}

impl<'s> Seen<'s> {
    fn of(seen: &'s Sighting) -> Self {
        let key = &seen.key;
        Self {
            protocol: key.protocol,
            listener: &key.listener,
            tls: key.tls.as_deref().unwrap_or("none"),
            method: &key.method,
            secret: key.secret.as_deref(),
            enrolled: seen.source,
            delegated: seen.delegated,
            last_seen: seen.last_seen,
            logins: seen.logins,
            messages: seen.messages,
        }
    }
}

fn listed(protocols: &[Protocol]) -> String {
    protocols.iter().map(|it| it.name()).collect::<Vec<_>>().join(" ")
}

/// For people: a heading for each day, and the accounts below it.
pub(super) fn tell(days: &[Day<'_>]) {
    if days.is_empty() {
        return output::note("no day is known on which a provider changes anything");
    }
    for day in days {
        output::line(format!("\n{}", day.described()));
        if day.ends.is_none() {
            continue;
        }
        let rows = day.accounts.iter().map(|hit| {
            let last = hit.clients.iter().filter_map(|it| it.seen.as_ref()).map(|seen| seen.last_seen).max();
            [
                format!("  {}", hit.account),
                listed(&hit.protocols),
                clients(&hit.clients),
                last.map_or_else(|| "never".to_owned(), output::day),
                hit.instead.clone(),
                hit.todo.clone(),
            ]
        });
        if day.accounts.is_empty() {
            output::line("  nobody here");
        } else {
            let header = ["  ACCOUNT", "BY", "CLIENTS", "LAST SEEN", "INSTEAD", "TO DO"];
            output::table(header, rows.collect(), "");
        }
    }
}

/// Who they are, those that were seen first; the others in brackets.
fn clients(clients: &[Use<'_>]) -> String {
    let mut names: Vec<String> = Vec::new();
    for client in clients {
        let name = if client.seen.is_some() { client.client.to_owned() } else { format!("({})", client.client) };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

pub(super) const HEADER: [&str; 20] = [
    "day",
    "passed",
    "upstream",
    "protocols",
    "ends",
    "what",
    "account",
    "account by",
    "instead",
    "to do",
    "client",
    "protocol",
    "listener",
    "tls",
    "method",
    "secret",
    "enrolled",
    "last seen",
    "logins",
    "messages",
];

/// A row for each client, one for an account without any, and one for a day without accounts.
pub(super) fn cells(days: &[Day<'_>]) -> Vec<[String; HEADER.len()]> {
    let mut rows = Vec::new();
    for day in days {
        let mut row: [String; HEADER.len()] = Default::default();
        row[..6].clone_from_slice(&[
            day.day.map(|day| day.to_string()).unwrap_or_default(),
            day.passed.to_string(),
            day.upstream.to_owned(),
            listed(day.protocols),
            day.ends.map(|kind| kind.name().to_owned()).unwrap_or_default(),
            day.what.to_owned(),
        ]);
        if day.accounts.is_empty() {
            rows.push(row.clone());
        }
        for hit in &day.accounts {
            let own = [hit.account.to_owned(), listed(&hit.protocols), hit.instead.clone(), hit.todo.clone()];
            row[6..10].clone_from_slice(&own);
            row[10..].fill(String::new());
            if hit.clients.is_empty() {
                rows.push(row.clone());
            }
            for client in &hit.clients {
                row[10..].fill(String::new());
                row[10] = client.client.to_owned();
                if let Some(seen) = &client.seen {
                    row[11..].clone_from_slice(&seen.cells());
                }
                rows.push(row.clone());
            }
        }
    }
    rows
}

impl Seen<'_> {
    fn cells(&self) -> [String; 9] {
        [
            self.protocol.to_string(),
            self.listener.to_owned(),
            self.tls.to_owned(),
            self.method.to_owned(),
            self.secret.unwrap_or_default().to_owned(),
            self.enrolled.map(|source| source.name().to_owned()).unwrap_or_default(),
            format!("{:.0}", self.last_seen),
            self.logins.to_string(),
            self.messages.map(|count| count.to_string()).unwrap_or_default(),
        ]
    }
}
