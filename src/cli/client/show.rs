//! `locum client list` and `locum client show`. Never a secret, and no verifier either.

use anyhow::Result;
use jiff::Timestamp;

use super::bind::describe_delegation;
use crate::broker::Change;
use crate::cli::account::Format;
use crate::cli::list::{Found, Listing};
use crate::cli::output;
use crate::management::clients::{self, ClientView, SecretView};
use crate::management::{Desk, Paging};
use crate::model::{Delegation, Policy, RecordKind, SecretSource};

/// Accounts of a client that the list names: with more of them no line would fit a terminal.
const ACCOUNTS_NAMED_MAX: usize = 2;

pub(super) async fn list(desk: &Desk, listing: &Listing) -> Result<()> {
    let page = async |paging: &Paging| clients::list(desk, paging).await;
    let Found { records: mut views, rest } = listing.gather(RecordKind::Client, page).await?;
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

fn row(view: ClientView) -> [String; 5] {
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

pub(super) fn one(view: &ClientView, format: &Format) -> Result<()> {
    if format.json {
        return Ok(output::json(view)?);
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
        let source = if *source == SecretSource::Issued { String::new() } else { format!(", {}", source.name()) };
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
