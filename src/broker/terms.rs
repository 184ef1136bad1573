//! What holds for a session beyond its login.

use jiff::Timestamp;

use crate::model::{AddressPattern, Client, ClientSecret, Delegation, SecretSource};

/// Under which terms a client was let in. An operator's own login has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// The id of the client secret that proved it; `None` for a device that was recognised without one.
    pub client_secret: Option<String>,
    /// How that secret came into the record.
    pub source: Option<SecretSource>,
    /// When the session has to be over: when the secret or certificate, the client or the delegation ends, whichever comes first.
    pub until: Option<Timestamp>,
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
    /// The terms of a client that was proven by `secret`, unless it was recognised without one, and acts by `delegation`, if it
    /// is not by a binding to one account.
    pub(super) fn of(client: &Client, secret: Option<&ClientSecret>, delegation: Option<&Delegation>) -> Self {
        let policy = &client.policy;
        let ends = [secret.and_then(|it| it.expires), policy.expires, delegation.and_then(|it| it.expires)];
        let class = delegation.and_then(|it| it.class.as_ref()).or(policy.class.as_ref());
        Self {
            client_secret: secret.map(|it| it.id.clone()),
            source: secret.map(|it| it.source),
            until: ends.into_iter().flatten().min(),
            sessions_max: policy.sessions_max,
            class: class.cloned(),
            senders: policy.senders.clone(),
            is_delegated: delegation.is_some(),
        }
    }

    /// The same, over at that time if not sooner.
    pub(super) fn ending_with(self, end: Option<Timestamp>) -> Self {
        Self { until: self.until.into_iter().chain(end).min(), ..self }
    }
}
