//! What is shown of an account: never a secret.

use jiff::Timestamp;
use serde::Serialize;

use crate::broker::{Change, Versioned};
use crate::cli::kinds;
use crate::cli::output;
use crate::credential::oauth2::OAuth2;
use crate::model::{Account, CredentialKind, Identity, Preference, StoredCredential};

#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) upstream: String,
    identity: Identity,
    pub(super) credentials: Vec<CredentialView>,
    #[serde(skip_serializing_if = "Preference::is_empty")]
    pub(super) preference: Preference,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Change>,
}

/// A credential, less what is secret in it.
#[derive(Debug, Serialize)]
pub(super) struct CredentialView {
    pub(super) kind: CredentialKind,
    id: String,
    label: String,
    pub(super) created: Timestamp,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    oauth2: Option<OAuth2View>,
}

#[derive(Debug, Serialize)]
struct OAuth2View {
    grant: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

impl View {
    pub(super) fn of(Versioned { record: account, changed, .. }: Versioned<Account>) -> Self {
        let current = account.credentials.into_iter().filter_map(|(kind, slots)| Some((kind, slots.current?)));
        Self {
            name: account.name,
            upstream: account.upstream,
            identity: account.identity,
            credentials: current.map(|(kind, stored)| CredentialView::of(kind, &stored)).collect(),
            preference: account.preference,
            class: account.class,
            changed,
        }
    }

    /// `tenant`: the domain whose credential the account may use.
    pub(super) fn print(&self, tenant: Option<&str>) {
        output::line(format!("account     {}", self.name));
        output::line(format!("upstream    {}", self.upstream));
        if let Some(identity) = &self.identity.all {
            output::line(format!("identity    {identity}"));
        }
        for (protocol, identity) in &self.identity.by_protocol {
            output::line(format!("identity    {identity} ({protocol})"));
        }
        for credential in &self.credentials {
            output::line(format!("credential  {}", credential.described()));
        }
        let own = self.credentials.iter().any(|credential| credential.kind == CredentialKind::OAuth2);
        if let (Some(tenant), false) = (tenant, own) {
            output::line(format!("credential  OAuth2 as all accounts of {tenant}: see `locum oauth status {tenant}`"));
        }
        if !self.preference.is_empty() {
            output::line(format!("prefers     {}", kinds::described(&self.preference)));
        }
        if let Some(class) = &self.class {
            output::line(format!("class       {class}"));
        }
        if let Some(Change { by, at }) = &self.changed {
            output::line(format!("changed     {} by {by}", output::minute(*at)));
        }
    }

    /// When the first of its credentials ends that is known to.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.credentials.iter().filter_map(|credential| credential.oauth2.as_ref()?.expires).min()
    }
}

impl CredentialView {
    pub(super) fn of(kind: CredentialKind, stored: &StoredCredential) -> Self {
        let oauth2 = (kind == CredentialKind::OAuth2).then(|| OAuth2::from_stored(stored).ok()).flatten();
        let oauth2 = oauth2.map(|credential| OAuth2View {
            grant: credential.grant.to_string(),
            expires: credential.expires(),
            client_id: credential.client_id,
            tenant: credential.tenant,
        });
        Self { kind, id: stored.id.clone(), label: stored.label.clone(), created: stored.created, oauth2 }
    }

    /// In one line.
    pub(super) fn described(&self) -> String {
        let Self { kind, id, label, created, oauth2 } = self;
        let grant = match (oauth2, kind) {
            (Some(oauth2), _) => format!(" by {}", oauth2.grant),
            (None, CredentialKind::OAuth2) => " that cannot be read".to_owned(),
            (None, CredentialKind::AppPassword) => String::new(),
        };
        let label = if label.is_empty() { String::new() } else { format!(", called {label:?} in the portal") };
        let application = oauth2.as_ref().map_or_else(String::new, |oauth2| {
            let tenant = oauth2.tenant.as_ref().map_or_else(String::new, |tenant| format!(" in {tenant}"));
            let end = oauth2.expires.map_or_else(String::new, |end| format!(", ends {}", output::minute(end)));
            format!(", client id {}{tenant}{end}", oauth2.client_id)
        });
        format!("{kind} {id}{grant}, since {}{label}{application}", output::minute(*created))
    }
}
