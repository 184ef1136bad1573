//! What holds for a session beyond its login.

use jiff::Timestamp;

use super::{Way, Withdrawal};
use crate::model::{AddressPattern, Client, ClientSecret, Delegation, Mark, SecretSource};

/// Under which terms a client was let in. An operator's own login has none, nor has one that passes through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Whether there is a client's record behind it, with which the session lives and dies.
    pub is_client: bool,
    /// The id of the client secret that proved it; `None` for a device that was recognised without one.
    pub client_secret: Option<String>,
    /// How that secret came into the record.
    pub source: Option<SecretSource>,
    /// When the session has to be over: when the secret or certificate, the client or the delegation ends, whichever comes first.
    pub until: Option<Timestamp>,
    /// What of these it is that ends then.
    pub until_by: Option<Withdrawal>,
    /// When the certificate ends by which a device was recognised.
    pub certificate_until: Option<Timestamp>,
    /// What a device was recognised by that came without a secret: the listener has to know it for as long as the session lasts.
    pub recognised: Option<Mark>,
    /// By what a login was believed that no secret proved: the same.
    pub way: Option<Way>,
    /// Sessions that the client may have open at once.
    pub sessions_max: Option<u32>,
    /// The class of quota that the session is in.
    pub class: Option<String>,
    /// Senders that it may name; empty for all.
    pub senders: Vec<AddressPattern>,
    /// Whether the account is one of many that a pattern names, and not the client's own.
    pub is_delegated: bool,
}

impl Terms {
    /// When the session has to be over, and as what that counts.
    pub fn end(&self) -> Option<(Timestamp, Withdrawal)> {
        self.until.map(|until| (until, self.until_by.unwrap_or(Withdrawal::TimeOver)))
    }

    /// The terms of a client that was proven by `secret`, unless it was recognised without one, and acts by `delegation`, if it
    /// is not by a binding to one account.
    pub(super) fn of(client: &Client, secret: Option<&ClientSecret>, delegation: Option<&Delegation>) -> Self {
        let policy = &client.policy;
        let end = first_end(secret, client, delegation.and_then(|it| it.expires), None);
        let class = delegation.and_then(|it| it.class.as_ref()).or(policy.class.as_ref());
        Self {
            is_client: true,
            client_secret: secret.map(|it| it.id.clone()),
            source: secret.map(|it| it.source),
            until: end.map(|(at, _)| at),
            until_by: end.map(|(_, what)| what),
            certificate_until: None,
            recognised: None,
            way: None,
            sessions_max: policy.sessions_max,
            class: class.cloned(),
            senders: policy.senders.clone(),
            is_delegated: delegation.is_some(),
        }
    }

    /// The same, over with that certificate if not sooner.
    pub(super) fn ending_with(self, certificate: Option<Timestamp>) -> Self {
        let Some(end) = certificate else { return self };
        let first = self.end().into_iter().chain([(end, Withdrawal::CertificateExpired)]).min_by_key(|(at, _)| *at);
        let (until, until_by) = first.unzip();
        Self { until, until_by, certificate_until: certificate, ..self }
    }
}

/// What ends first of a secret, its client, what lets it act as the account, and the certificate it was recognised by.
pub(super) fn first_end(
    secret: Option<&ClientSecret>,
    client: &Client,
    delegated_until: Option<Timestamp>,
    certificate_until: Option<Timestamp>,
) -> Option<(Timestamp, Withdrawal)> {
    let ends = [
        (secret.and_then(|secret| secret.expires), Withdrawal::SecretExpired),
        (client.policy.expires, Withdrawal::ClientExpired),
        (delegated_until, Withdrawal::DelegationExpired),
        (certificate_until, Withdrawal::CertificateExpired),
    ];
    ends.into_iter().filter_map(|(at, what)| Some((at?, what))).min_by_key(|(at, _)| *at)
}
