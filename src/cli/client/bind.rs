//! `locum client bind` and `locum client unbind`: as which accounts a client may act. Never wider than was typed: what is given
//! anew stands in place of what was there, and what has no end or holds from everywhere is told.

use anyhow::Result;
use ipnet::IpNet;
use jiff::Timestamp;

use super::limits::check_class;
use super::{find, parse_network, parse_time};
use crate::broker::{Directory, Versioned};
use crate::cli::account::{self, check_name};
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::config::Config;
use crate::model::{AddressPattern, Binding, Client, Delegation, Policy, normalise};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Bind {
    /// The login name of the client; made if it is new.
    login: String,
    #[command(flatten)]
    what: Bound,
    /// When the right to these mailboxes ends, as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "account")]
    expires: Option<Timestamp>,
    /// A network from which it holds; without any, all. May be given again for others.
    #[arg(long = "network", value_name = "CIDR", value_parser = parse_network, conflicts_with = "account")]
    networks: Vec<IpNet>,
    /// The class of quota of its sessions: `[limits.class.<name>]`.
    #[arg(long, value_name = "NAME", conflicts_with = "account")]
    class: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Bound {
    /// The account that it may act as.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// The mailboxes that it may act as, one named at each login: `*@contoso.com`, `team-*@contoso.com`.
    #[arg(long, value_name = "PATTERN")]
    mailboxes: Option<AddressPattern>,
}

/// Gives a client one more binding, or one of the same pattern in place of the one before.
pub(super) async fn bind(config: &Config, directory: &Directory, bind: Bind) -> Result<()> {
    let login = check_name(&bind.login)?.to_owned();
    if bind.expires.is_some_and(|end| end <= Timestamp::now()) {
        return Err(Failure::new(exit::DATA, "a delegation that expires in the past would never hold").into());
    }
    if let Some(class) = &bind.class {
        check_class(config, class)?;
    }
    let binding = match (&bind.what.account, &bind.what.mailboxes) {
        (Some(account), _) => Binding::Account(account::find(directory, account).await?.record.name),
        (None, pattern) => Binding::Delegation(Delegation {
            pattern: pattern.clone().ok_or_else(no_choice)?,
            expires: bind.expires,
            networks: bind.networks,
            class: bind.class,
        }),
    };
    let found = directory.client(&login).await?;
    let is_new = found.is_none();
    let (mut client, version) = match found {
        Some(Versioned { record, version, .. }) => (record, Some(version)),
        None => (Client { login, secrets: Vec::new(), bindings: Vec::new(), policy: Policy::default() }, None),
    };
    let described = describe(&binding);
    match client.bindings.iter_mut().find(|there| is_same(there, &binding)) {
        Some(there) => *there = binding.clone(),
        None => client.bindings.push(binding.clone()),
    }
    directory.put_client(&client, version).await?;
    let login = &client.login;
    output::note(format!("{login}: may act as {described}"));
    if is_new {
        output::note(format!("{login}: it is new and has no secret; make one with `locum client issue {login}`"));
    }
    let accounts = client.bindings.iter().filter_map(Binding::account).count();
    if binding.account().is_some() && accounts > 1 {
        output::note(format!("{login}: it is bound to {accounts} accounts and has to name one at each login"));
    }
    if let Binding::Delegation(delegation) = &binding {
        warn(login, delegation);
    }
    Ok(())
}

/// Takes a binding from a client.
pub(super) async fn unbind(directory: &Directory, login: &str, bound: Bound) -> Result<()> {
    let Versioned { record: mut client, version, .. } = find(directory, login).await?;
    let (account, pattern) = (bound.account, bound.mailboxes);
    let named = match (&account, &pattern) {
        (Some(account), _) => account.clone(),
        (None, Some(pattern)) => pattern.to_string(),
        (None, None) => return Err(no_choice().into()),
    };
    let is_meant = |there: &Binding| match there {
        Binding::Account(name) => account.as_deref().is_some_and(|it| normalise(it) == normalise(name)),
        Binding::Delegation(delegation) => pattern.as_ref() == Some(&delegation.pattern),
    };
    let before = client.bindings.len();
    client.bindings.retain(|there| !is_meant(there));
    let login = client.login.clone();
    if client.bindings.len() == before {
        let message = format!("{login} is not bound to {named}; see `locum client show {login}`");
        return Err(Failure::new(exit::NOT_FOUND, message).into());
    }
    directory.put_client(&client, Some(version)).await?;
    output::note(format!("{login}: may act as {named} no more"));
    if client.bindings.is_empty() {
        output::note(format!("{login}: nothing is left that it may act as"));
    }
    Ok(())
}

fn no_choice() -> Failure {
    Failure::new(exit::USAGE, "say --account or --mailboxes")
}

/// A delegation as a line has it: `*@contoso.com, until 2027-01-31 00:00 UTC, from 10.0.0.0/8`.
pub(super) fn describe_delegation(delegation: &Delegation) -> String {
    let Delegation { pattern, expires, networks, class } = delegation;
    let mut text = pattern.to_string();
    if let Some(end) = expires {
        let word = if *end <= Timestamp::now() { "ended" } else { "until" };
        text += &format!(", {word} {}", output::minute(*end));
    }
    if !networks.is_empty() {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        text += &format!(", from {}", networks.join(", "));
    }
    if let Some(class) = class {
        text += &format!(", in class {class}");
    }
    text
}

fn describe(binding: &Binding) -> String {
    match binding {
        Binding::Account(account) => account.clone(),
        Binding::Delegation(delegation) => describe_delegation(delegation),
    }
}

fn is_same(one: &Binding, other: &Binding) -> bool {
    match (one, other) {
        (Binding::Account(one), Binding::Account(other)) => normalise(one) == normalise(other),
        (Binding::Delegation(one), Binding::Delegation(other)) => one.pattern == other.pattern,
        _ => false,
    }
}

/// Who may act as many is worth a look at what bounds it.
fn warn(login: &str, delegation: &Delegation) {
    let Delegation { pattern, expires, networks, .. } = delegation;
    if expires.is_none() {
        output::note(format!("{login}: warning: the right to {pattern} has no end; give one with --expires"));
    }
    if networks.is_empty() {
        output::note(format!(
            "{login}: warning: the right to {pattern} holds from everywhere; bound it with --network"
        ));
    }
}
