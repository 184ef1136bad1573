//! Secrets of clients that Locum did not make, and clients whose TLS is old or none: what somebody may want to look at.

use jiff::Timestamp;
use serde::Serialize;

use super::stock::Stock;
use crate::broker::LEARNT_LABEL;
use crate::cli::output;
use crate::model::{Account, Client, ClientSecret, CredentialKind, Protocol, SecretSource};

/// A secret that was imported, learnt, or taken from who came first.
#[derive(Debug, Serialize)]
pub(super) struct Enrolled<'s> {
    client: &'s str,
    secret: &'s str,
    how: SecretSource,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Timestamp>,
    /// Accounts that are entered with that very password still: whoever has the one has the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    same_upstream: Vec<&'s str>,
}

/// A client without TLS of today.
#[derive(Debug, Serialize)]
pub(super) struct WeakTls<'s> {
    client: &'s str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'s str>,
    protocol: Protocol,
    listener: &'s str,
    tls: &'s str,
    last_seen: Timestamp,
}

pub(super) fn enrolled(stock: &Stock) -> Vec<Enrolled<'_>> {
    let of_client = |client| all_of(stock, client);
    stock.clients.iter().flat_map(of_client).collect()
}

fn all_of<'s>(stock: &'s Stock, client: &'s Client) -> Vec<Enrolled<'s>> {
    let others = client.secrets.iter().filter(|secret| secret.source != SecretSource::Issued);
    others.map(|secret| one_of(stock, client, secret)).collect()
}

fn one_of<'s>(stock: &'s Stock, client: &'s Client, secret: &'s ClientSecret) -> Enrolled<'s> {
    let own = stock.sightings.seen.iter().filter(|it| it.key.secret.as_deref() == Some(&secret.id));
    let bound = client.bindings.iter().filter_map(|it| it.account()).filter_map(|name| stock.account(name));
    let is_same = |account: &&Account| secret.source == SecretSource::Learnt && has_learnt(account);
    Enrolled {
        client: &client.login,
        secret: &secret.id,
        how: secret.source,
        since: secret.created,
        last_seen: own.map(|it| it.last_seen).max(),
        same_upstream: bound.filter(is_same).map(|account| account.name.as_str()).collect(),
    }
}

/// Whether the password that a client was enrolled with is the account's current one: a rotation gives it another label.
fn has_learnt(account: &Account) -> bool {
    let slots = account.credentials.get(&CredentialKind::AppPassword);
    slots.and_then(|slots| slots.current.as_ref()).is_some_and(|current| current.label == LEARNT_LABEL)
}

pub(super) fn weak_tls(stock: &Stock) -> Vec<WeakTls<'_>> {
    let weak = stock.sightings.seen.iter().filter(|seen| seen.has_weak_tls());
    let one = weak.map(|seen| WeakTls {
        client: &seen.key.login,
        account: seen.key.account.as_deref(),
        protocol: seen.key.protocol,
        listener: &seen.key.listener,
        tls: seen.key.tls.as_deref().unwrap_or("none"),
        last_seen: seen.last_seen,
    });
    one.collect()
}

/// For people; nothing where there is none.
pub(super) fn tell(enrolled: &[Enrolled<'_>], weak: &[WeakTls<'_>]) {
    if !enrolled.is_empty() {
        output::line("\nsecrets that Locum did not make:");
        let rows = enrolled.iter().map(|it| {
            let same = match it.same_upstream.is_empty() {
                true => String::new(),
                false => format!("the provider's password still: locum rotate stage {}", it.same_upstream.join(", ")),
            };
            let last = it.last_seen.map_or_else(|| "never".to_owned(), output::day);
            [
                format!("  {}", it.client),
                it.secret.to_owned(),
                it.how.name().to_owned(),
                output::day(it.since),
                last,
                same,
            ]
        });
        output::table(["  CLIENT", "SECRET", "HOW", "SINCE", "LAST SEEN", "MIND"], rows.collect(), "");
    }
    if !weak.is_empty() {
        output::line("\nclients without TLS of today:");
        let rows = weak.iter().map(|it| {
            let account = it.account.unwrap_or("-").to_owned();
            let (by, tls) = (it.protocol.to_string(), it.tls.to_owned());
            [format!("  {}", it.client), account, by, it.listener.to_owned(), tls, output::day(it.last_seen)]
        });
        output::table(["  CLIENT", "ACCOUNT", "BY", "LISTENER", "TLS", "LAST SEEN"], rows.collect(), "");
    }
}
