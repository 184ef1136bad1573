//! `locum client bind` and `locum client unbind`: as which accounts a client may act. What has no end or holds from everywhere
//! is told.

use anyhow::Result;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{parse_network, parse_time};
use crate::cli::output;
use crate::management::{Desk, clients};
use crate::model::{AddressPattern, Binding, Delegation};

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
pub(super) async fn bind(desk: &Desk, bind: Bind) -> Result<()> {
    let Bind { login, what: Bound { account, mailboxes }, expires, networks, class } = bind;
    let bound = clients::bind(desk, &login, clients::Bind { account, mailboxes, expires, networks, class }).await?;
    let login = &bound.client.login;
    output::note(format!("{login}: may act as {}", describe(&bound.binding)));
    if bound.is_new {
        output::note(format!("{login}: it is new and has no secret; make one with `locum client issue {login}`"));
    }
    let accounts = bound.accounts();
    if bound.binding.account().is_some() && accounts > 1 {
        output::note(format!("{login}: it is bound to {accounts} accounts and has to name one at each login"));
    }
    if let Binding::Delegation(delegation) = &bound.binding {
        warn(login, delegation);
    }
    Ok(())
}

/// Takes a binding from a client.
pub(super) async fn unbind(desk: &Desk, login: &str, bound: Bound) -> Result<()> {
    let Bound { account, mailboxes } = bound;
    let clients::Unbound { client, named } =
        clients::unbind(desk, login, clients::Unbind { account, mailboxes }).await?;
    output::note(format!("{}: may act as {named} no more", client.login));
    if client.accounts.is_empty() && client.delegations.is_empty() {
        output::note(format!("{}: nothing is left that it may act as", client.login));
    }
    Ok(())
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
