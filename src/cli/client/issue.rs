//! `locum client issue`.

use anyhow::Result;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{check_listeners, extend, parse_network, parse_time};
use crate::broker::{Directory, Versioned, client_secret};
use crate::cli::account::{self, check_name};
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::config::Config;
use crate::model::{Binding, Client, Policy, Protocol, normalise};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Issue {
    /// The login name that the client uses.
    login: String,
    /// The account that it acts as; may be given again for others.
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Let the client have several accounts; it must then name one at each login, which only SASL PLAIN can.
    #[arg(long)]
    several: bool,
    /// What to call this secret.
    #[arg(long, default_value = "")]
    label: String,
    /// When this secret expires, as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires: Option<Timestamp>,
    /// A protocol that the client may use; without any, all.
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    protocols: Vec<Protocol>,
    /// A listener that the client may come through; without any, all.
    #[arg(long = "listener", value_name = "NAME")]
    listeners: Vec<String>,
    /// A network that the client may come from; without any, all.
    #[arg(long = "network", value_name = "CIDR", value_parser = parse_network)]
    networks: Vec<IpNet>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, directory: &Directory, issue: Issue) -> Result<()> {
    let login = check_name(&issue.login)?.to_owned();
    check_listeners(config, &issue.listeners)?;
    if issue.expires.is_some_and(|end| end <= Timestamp::now()) {
        return Err(Failure::new(exit::DATA, "a secret that expires in the past would never work").into());
    }
    let mut accounts = Vec::new();
    for account in &issue.accounts {
        accounts.push(account::find(directory, account).await?.record.name);
    }
    let (mut client, version) = match directory.client(&login).await? {
        Some(Versioned { record, version, .. }) => (record, Some(version)),
        None if accounts.is_empty() => {
            let message = format!(
                "{login} is a new client: say which account it acts as with --account, or let it act as many with \
                 `locum client bind`"
            );
            return Err(Failure::new(exit::USAGE, message).into());
        }
        None => (
            Client { login: login.clone(), secrets: Vec::new(), bindings: Vec::new(), policy: Policy::default() },
            None,
        ),
    };
    let accounts_of = |client: &Client| client.bindings.iter().filter_map(Binding::account).count();
    let (bound, policy) = (accounts_of(&client), client.policy.clone());
    for account in accounts {
        if !client.bindings.iter().filter_map(Binding::account).any(|bound| normalise(bound) == normalise(&account)) {
            client.bindings.push(Binding::Account(account));
        }
    }
    extend(&mut client.policy.protocols, issue.protocols);
    extend(&mut client.policy.listeners, issue.listeners);
    extend(&mut client.policy.networks, issue.networks);
    if accounts_of(&client) > bound.max(1) && !issue.several {
        let message = format!(
            "{login} would be bound to {} accounts and have to name one at each login, which only SASL PLAIN can; use \
             another login for another account, or say --several if that is what you want",
            accounts_of(&client)
        );
        return Err(Failure::new(exit::USAGE, message).into());
    }
    if version.is_some() && client.policy != policy {
        let message = format!(
            "limits hold for all secrets of {login}, and it has others already; use another login for other limits"
        );
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let (record, secret) = client_secret::issue(&issue.label, issue.expires, Timestamp::now())?;
    let id = record.id.clone();
    client.secrets.push(record);
    directory.put_client(&client, version).await?;

    let text = secret.expose_text().unwrap_or_default(); // issued secrets are ASCII
    if issue.json {
        output::once(serde_json::json!({ "login": client.login, "id": id, "secret": text }));
        return Ok(());
    }
    output::note(format!("{}: secret {id} issued; it is shown this once:", client.login));
    output::once(text);
    Ok(())
}
