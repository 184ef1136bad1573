//! `locum client list` and `locum client show`. Never a secret, and no verifier either.

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::find;
use crate::broker::{Change, Directory, Versioned};
use crate::cli::account::Format;
use crate::cli::list::{Found, Listing};
use crate::cli::output;
use crate::model::{Client, Policy, RecordId, RecordKind};

/// What is shown of a client: never a secret, and no verifier either.
#[derive(Debug, Serialize)]
struct View {
    login: String,
    accounts: Vec<String>,
    secrets: Vec<SecretView>,
    policy: Policy,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Change>,
}

#[derive(Debug, Serialize)]
struct SecretView {
    id: String,
    label: String,
    created: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
}

pub(super) async fn list(directory: &Directory, listing: &Listing) -> Result<()> {
    let page = async |after: Option<&RecordId>, limit| directory.clients_page(after, limit).await;
    let Found { records, rest } = listing.read(RecordKind::Client, page).await?;
    let mut views: Vec<View> = records.into_iter().map(view).collect();
    views.sort_by(|a, b| a.login.cmp(&b.login));
    if listing.json {
        output::json(&views)?;
        return rest.tell();
    }
    let rows =
        views.into_iter().map(|view| [view.login, view.accounts.join(", "), view.secrets.len().to_string()]).collect();
    let none = listing.none("no clients yet; make one with `locum client issue`");
    output::table(["LOGIN", "ACCOUNTS", "SECRETS"], rows, none);
    rest.tell()
}

pub(super) async fn one(directory: &Directory, login: &str, format: &Format) -> Result<()> {
    let view = view(find(directory, login).await?);
    if format.json {
        return Ok(output::json(&view)?);
    }
    output::line(format!("login       {}", view.login));
    for account in &view.accounts {
        output::line(format!("account     {account}"));
    }
    show_limits("protocols", view.policy.protocols.iter());
    show_limits("listeners", view.policy.listeners.iter());
    show_limits("networks", view.policy.networks.iter());
    for SecretView { id, label, created, expires } in &view.secrets {
        let label = if label.is_empty() { String::new() } else { format!(" {label:?}") };
        let expires = expires.map_or_else(String::new, |end| format!(", until {}", output::minute(end)));
        output::line(format!("secret      {id}{label}, since {}{expires}", output::minute(*created)));
    }
    if let Some(Change { by, at }) = &view.changed {
        output::line(format!("changed     {} by {by}", output::minute(*at)));
    }
    Ok(())
}

fn show_limits<T: ToString>(what: &str, allowed: impl Iterator<Item = T>) {
    let allowed: Vec<String> = allowed.map(|one| one.to_string()).collect();
    if !allowed.is_empty() {
        output::line(format!("{what:<11} only {}", allowed.join(", ")));
    }
}

fn view(Versioned { record: client, changed, .. }: Versioned<Client>) -> View {
    let accounts = client.bindings.iter().filter_map(|binding| binding.account().map(str::to_owned)).collect();
    let secrets = client
        .secrets
        .into_iter()
        .map(|secret| SecretView {
            id: secret.id,
            label: secret.label,
            created: secret.created,
            expires: secret.expires,
        })
        .collect();
    View { login: client.login, accounts, secrets, policy: client.policy, changed }
}
