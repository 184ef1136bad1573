//! The record of one client as nodes have seen it: how it comes in, what is used for it upstream, how often and how much.
//! Names, ids, times and counts; never a secret.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CredentialKind, Protocol, SecretSource};

/// Networks that a sighting names. A device has one or two; of what roams, these are the latest.
const NETWORKS_MAX: usize = 8;

/// Causes of refusals that a sighting counts by name; further ones are counted as `other`.
const CAUSES_MAX: usize = 16;

/// What makes one client another one. What differs in any of these breaks on another day: so two devices that share a login
/// are told apart where they come in by different ways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct SeenKey {
    /// The client's login name, as its record has it.
    pub login: String,
    /// The account that it acts as; `None` where it got no further than the door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it speaks.
    pub protocol: Protocol,
    /// The listener that it comes through.
    pub listener: String,
    /// The version of TLS; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// The command or mechanism that it logs in by.
    pub method: String,
    /// The id of the client secret; `None` where nothing was proven here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl SeenKey {
    /// The name that its record is found by. Its parts are of any text, so each says how long it is.
    pub fn name(&self) -> String {
        let part = |text: &str| format!("{}:{text}", text.len());
        let maybe = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), part);
        let Self { login, account, protocol, listener, tls, method, secret } = self;
        let own = [part(login), maybe(account), part(protocol.name()), part(listener)];
        [own.join(" "), maybe(tls), part(method), maybe(secret)].join(" ")
    }
}

/// One client, as nodes have seen it (`seen/<id>`, under the hash of its key). Several nodes add to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sighting {
    /// Which one it is.
    #[serde(flatten)]
    pub key: SeenKey,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last there.
    pub last_seen: Timestamp,
    /// How the client secret came into its record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SecretSource>,
    /// Whether it acts for others: the account is one of many that a pattern names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delegated: bool,
    /// What was last used for it upstream; `None` if it never got there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<SeenUpstream>,
    /// Where it came from, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<SeenNetwork>,
    /// The front ends that last spoke for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub via: Vec<IpAddr>,
    /// Logins that succeeded, upstream too.
    #[serde(default)]
    pub logins: u64,
    /// Logins that were refused though the client had proven itself, by cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
    /// Messages that were submitted; `None` where nobody counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Bytes from the client, of sessions that are over.
    #[serde(default)]
    pub bytes_up: u64,
    /// Bytes to the client, of sessions that are over.
    #[serde(default)]
    pub bytes_down: u64,
}

/// What is used upstream for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeenUpstream {
    /// The upstream profile.
    pub profile: String,
    /// The kind of credential.
    pub kind: CredentialKind,
    /// The id of its version.
    pub credential: String,
    /// When.
    pub at: Timestamp,
}

/// A network that a client came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeenNetwork {
    /// An IPv4 address as a whole, of IPv6 what one customer has.
    #[schema(value_type = String)]
    pub network: IpNet,
    /// When it last came from there.
    pub last_seen: Timestamp,
}

impl Sighting {
    /// Seen for the first time, and nothing counted yet.
    pub fn new(key: SeenKey, now: Timestamp) -> Self {
        Self {
            key,
            first_seen: now,
            last_seen: now,
            source: None,
            delegated: false,
            upstream: None,
            networks: Vec::new(),
            via: Vec::new(),
            logins: 0,
            refused: BTreeMap::new(),
            messages: None,
            bytes_up: 0,
            bytes_down: 0,
        }
    }

    /// It came from that address.
    pub fn came_from(&mut self, peer: IpAddr, now: Timestamp) {
        // /64 as in `network`: both count as one what one customer of an IPv6 provider has.
        let bits = if peer.is_ipv4() { 32 } else { 64 };
        let Ok(network) = IpNet::new(super::network(peer), bits) else { return };
        self.add_network(SeenNetwork { network, last_seen: now });
    }

    fn add_network(&mut self, seen: SeenNetwork) {
        match self.networks.iter_mut().find(|it| it.network == seen.network) {
            Some(known) => known.last_seen = known.last_seen.max(seen.last_seen),
            None => self.networks.push(seen),
        }
        self.networks.sort_by(|a, b| (b.last_seen, a.network).cmp(&(a.last_seen, b.network)));
        self.networks.truncate(NETWORKS_MAX);
    }

    /// It was refused so many times.
    pub fn add_refusals(&mut self, cause: &str, times: u64) {
        let is_known = self.refused.contains_key(cause) || self.refused.len() < CAUSES_MAX;
        let count = self.refused.entry(if is_known { cause } else { "other" }.to_owned()).or_default();
        *count = count.saturating_add(times);
    }

    /// Adds what another has seen of the same client.
    pub fn add(&mut self, other: &Self) {
        let is_later = other.last_seen >= self.last_seen;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.source = if is_later { other.source.or(self.source) } else { self.source.or(other.source) };
        if is_later {
            self.via.clone_from(&other.via);
        }
        self.delegated = if is_later { other.delegated } else { self.delegated };
        if let Some(upstream) = &other.upstream
            && self.upstream.as_ref().is_none_or(|own| own.at <= upstream.at)
        {
            self.upstream = Some(upstream.clone());
        }
        other.networks.iter().for_each(|seen| self.add_network(seen.clone()));
        self.logins = self.logins.saturating_add(other.logins);
        other.refused.iter().for_each(|(cause, times)| self.add_refusals(cause, *times));
        self.messages = match (self.messages, other.messages) {
            (Some(own), Some(others)) => Some(own.saturating_add(others)),
            (own, others) => own.or(others),
        };
        self.bytes_up = self.bytes_up.saturating_add(other.bytes_up);
        self.bytes_down = self.bytes_down.saturating_add(other.bytes_down);
    }

    /// What is counted in this one and not in `other`, which is what was counted when that was put down.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.logins = self.logins.saturating_sub(other.logins);
        for (cause, times) in &other.refused {
            if let Some(count) = rest.refused.get_mut(cause) {
                *count = count.saturating_sub(*times);
            }
        }
        rest.refused.retain(|_, count| *count > 0);
        rest.messages = self.messages.map(|own| own.saturating_sub(other.messages.unwrap_or(0)));
        rest.bytes_up = self.bytes_up.saturating_sub(other.bytes_up);
        rest.bytes_down = self.bytes_down.saturating_sub(other.bytes_down);
        rest
    }

    /// All refusals.
    pub fn refusals(&self) -> u64 {
        self.refused.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether the client is without TLS, or with a version that is not to be used any more (RFC 8996).
    pub fn has_weak_tls(&self) -> bool {
        !matches!(self.key.tls.as_deref(), Some("TLSv1.2" | "TLSv1.3"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(login: &str, account: Option<&str>) -> SeenKey {
        SeenKey {
            login: login.into(),
            account: account.map(Into::into),
            protocol: Protocol::Imap,
            listener: "imaps".into(),
            tls: Some("TLSv1.3".into()),
            method: "LOGIN command".into(),
            secret: Some("s1".into()),
        }
    }

    fn sighting(first: i64, last: i64) -> Sighting {
        Sighting { last_seen: at(last), logins: 1, bytes_up: 10, ..Sighting::new(key("scan", Some("a")), at(first)) }
    }

    #[test]
    fn names_of_different_clients_differ_whatever_is_in_them() {
        let names = [
            key("a", Some("b")).name(),
            key("a 1:b", None).name(),
            key("a", None).name(),
            key("a", Some("-")).name(),
            SeenKey { tls: None, ..key("a", Some("b")) }.name(),
        ];
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }

    #[test]
    fn what_several_saw_adds_up_and_the_first_and_the_last_time_stay() {
        let mut one = sighting(5, 10);
        let mut other = sighting(1, 7);
        other.refused.insert("limit".into(), 3);
        other.messages = Some(2);
        one.add(&other);
        assert_eq!((one.first_seen, one.last_seen, one.logins, one.bytes_up), (at(1), at(10), 2, 20));
        assert_eq!((one.refusals(), one.messages), (3, Some(2)));
        let rest = one.beyond(&other);
        assert_eq!((rest.logins, rest.bytes_up, rest.refusals(), rest.messages), (1, 10, 0, Some(0)));
    }

    #[test]
    fn networks_and_causes_are_bounded_and_the_latest_stay() {
        let mut seen = sighting(0, 0);
        for number in 0..100u8 {
            seen.came_from(IpAddr::from([10, 0, 0, number]), at(number.into()));
            seen.add_refusals(&format!("cause-{number}"), 1);
        }
        assert_eq!((seen.networks.len(), seen.refused.len()), (NETWORKS_MAX, CAUSES_MAX + 1));
        assert_eq!(seen.networks[0].network.to_string(), "10.0.0.99/32");
        assert_eq!((seen.refused["other"], seen.refusals()), (84, 100));
        seen.came_from("2001:db8::1".parse().unwrap(), at(200));
        assert_eq!(seen.networks[0].network.to_string(), "2001:db8::/64");
    }

    #[test]
    fn a_record_survives_the_round_trip() {
        let mut seen = sighting(0, 0);
        seen.came_from(IpAddr::from([10, 0, 0, 1]), at(1));
        let (kind, profile, credential) = (CredentialKind::AppPassword, "gmail".into(), "c1".into());
        seen.upstream = Some(SeenUpstream { profile, kind, credential, at: at(1) });
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Sighting>(&json).unwrap(), seen);
    }
}
