//! `locum client list` and `locum client show`. Never a secret, and no verifier either.

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::bind::describe_delegation;
use super::find;
use crate::broker::{Change, Directory, Versioned};
use crate::cli::account::Format;
use crate::cli::list::{Found, Listing};
use crate::cli::output;
use crate::model::{Binding, Client, Delegation, Policy, RecordId, RecordKind};

/// Accounts of a client that the list names: with more of them no line would fit a terminal.
const ACCOUNTS_NAMED_MAX: usize = 2;

/// What is shown of a client: never a secret, and no verifier either.
#[derive(Debug, Serialize)]
struct View {
    login: String,
    accounts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delegations: Vec<Delegation>,
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
    source: &'static str,
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
    let rows = views.into_iter().map(row).collect();
    let none = listing.none("no clients yet; make one with `locum client issue`");
    output::table(["LOGIN", "ACCOUNTS", "SECRETS", "CLASS", "ENDS"], rows, none);
    rest.tell()
}

fn row(view: View) -> [String; 5] {
    let accounts: Vec<String> = view.accounts.into_iter().chain(view.delegations.iter().map(describe_end)).collect();
    let ends = view.policy.expires.map(output::day).unwrap_or_default();
    let class = view.policy.class.unwrap_or_default();
    [view.login, shorten(&accounts), view.secrets.len().to_string(), class, ends]
}

/// The first of them, and how many more there are: `client show` has all.
fn shorten(accounts: &[String]) -> String {
    let (named, more) = accounts.split_at(accounts.len().min(ACCOUNTS_NAMED_MAX));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    named.join(", ") + &more
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
    for delegation in &view.delegations {
        output::line(format!("delegation  {}", describe_delegation(delegation)));
    }
    show_policy(&view.policy);
    for SecretView { id, label, created, expires, source } in &view.secrets {
        let source = if *source == "issued" { String::new() } else { format!(", {source}") };
        let label = if label.is_empty() { String::new() } else { format!(" {label:?}") };
        let expires = expires.map_or_else(String::new, |end| format!(", until {}", output::minute(end)));
        output::line(format!("secret      {id}{label}{source}, since {}{expires}", output::minute(*created)));
    }
    if let Some(Change { by, at }) = &view.changed {
        output::line(format!("changed     {} by {by}", output::minute(*at)));
    }
    Ok(())
}

/// A delegation as a table has it: with its end alone.
fn describe_end(delegation: &Delegation) -> String {
    let pattern = &delegation.pattern;
    match delegation.expires {
        None => pattern.to_string(),
        Some(end) if end <= Timestamp::now() => format!("{pattern} (ended {})", output::day(end)),
        Some(end) => format!("{pattern} (until {})", output::day(end)),
    }
}

fn show_policy(policy: &Policy) {
    let Policy { protocols, listeners, networks, hours, expires, sessions_max, senders, class } = policy;
    show_limits("protocols", protocols.iter());
    show_limits("listeners", listeners.iter());
    show_limits("networks", networks.iter());
    show_limits("hours", hours.iter());
    show_limits("senders", senders.iter());
    if let Some(max) = sessions_max {
        output::line(format!("sessions    at most {max} at once on each node"));
    }
    if let Some(class) = class {
        output::line(format!("class       {class}"));
    }
    if let Some(end) = expires {
        output::line(format!("ends        {}", output::minute(*end)));
    }
}

fn show_limits<T: ToString>(what: &str, allowed: impl Iterator<Item = T>) {
    let allowed: Vec<String> = allowed.map(|one| one.to_string()).collect();
    if !allowed.is_empty() {
        output::line(format!("{what:<11} only {}", allowed.join(", ")));
    }
}

fn view(Versioned { record: client, changed, .. }: Versioned<Client>) -> View {
    let (mut accounts, mut delegations) = (Vec::new(), Vec::new());
    for binding in client.bindings {
        match binding {
            Binding::Account(name) => accounts.push(name),
            Binding::Delegation(delegation) => delegations.push(delegation),
        }
    }
    let secrets = client
        .secrets
        .into_iter()
        .map(|secret| SecretView {
            id: secret.id,
            label: secret.label,
            created: secret.created,
            expires: secret.expires,
            source: secret.source.name(),
        })
        .collect();
    View { login: client.login, accounts, delegations, secrets, policy: client.policy, changed }
}
