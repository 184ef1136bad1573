//! Secrets of clients that Locum did not make, and clients whose TLS is old or none: what somebody may want to look at. Pure,
//! over a stock.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Stock;
use crate::broker::LEARNT_LABEL;
use crate::model::{Account, Client, ClientSecret, CredentialKind, Protocol, SecretSource};

/// A secret that was imported, learnt, or taken from who came first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Enrolled {
    /// The client.
    pub client: String,
    /// The id of the secret.
    pub secret: String,
    /// How it came here.
    pub how: SecretSource,
    /// Since when.
    pub since: Timestamp,
    /// When somebody last came by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Accounts that are entered with that very password still: whoever has the one has the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub same_upstream: Vec<String>,
}

/// A client without TLS of today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WeakTls {
    /// The client.
    pub client: String,
    /// The account that it acts as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it speaks.
    pub protocol: Protocol,
    /// The listener that it comes through.
    pub listener: String,
    /// The version of TLS, or `none`.
    pub tls: String,
    /// When it was last there.
    pub last_seen: Timestamp,
}

/// The secrets that Locum did not make.
pub fn enrolled(stock: &Stock) -> Vec<Enrolled> {
    let mut last_seen: HashMap<&str, Timestamp> = HashMap::new();
    for seen in &stock.sightings.seen {
        if let Some(secret) = &seen.key.secret {
            let last = last_seen.entry(secret).or_insert(seen.last_seen);
            *last = seen.last_seen.max(*last);
        }
    }
    let others = stock.clients.iter().flat_map(|client| client.secrets.iter().map(move |secret| (client, secret)));
    let others = others.filter(|(_, secret)| secret.source != SecretSource::Issued);
    others.map(|(client, secret)| one(stock, client, secret, last_seen.get(&*secret.id).copied())).collect()
}

fn one(stock: &Stock, client: &Client, secret: &ClientSecret, last_seen: Option<Timestamp>) -> Enrolled {
    let bound = client.bindings.iter().filter_map(|it| it.account()).filter_map(|name| stock.account(name));
    let is_same = |account: &&Account| secret.source == SecretSource::Learnt && has_learnt(account);
    Enrolled {
        client: client.login.clone(),
        secret: secret.id.clone(),
        how: secret.source,
        since: secret.created,
        last_seen,
        same_upstream: bound.filter(is_same).map(|account| account.name.clone()).collect(),
    }
}

/// Whether the password that a client was enrolled with is the account's current one: a rotation gives it another label.
fn has_learnt(account: &Account) -> bool {
    let slots = account.credentials.get(&CredentialKind::AppPassword);
    slots.and_then(|slots| slots.current.as_ref()).is_some_and(|current| current.label == LEARNT_LABEL)
}

/// The clients without TLS of today.
pub fn weak_tls(stock: &Stock) -> Vec<WeakTls> {
    let weak = stock.sightings.seen.iter().filter(|seen| seen.has_weak_tls());
    let one = weak.map(|seen| WeakTls {
        client: seen.key.login.clone(),
        account: seen.key.account.clone(),
        protocol: seen.key.protocol,
        listener: seen.key.listener.clone(),
        tls: seen.key.tls.clone().unwrap_or_else(|| "none".to_owned()),
        last_seen: seen.last_seen,
    });
    one.collect()
}
