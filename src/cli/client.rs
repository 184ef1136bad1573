//! `locum client …`.

use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;

use super::account::{Format, check_name};
use super::exit::{self, Failure};
use super::list::{self, Found, Listing};
use super::output;
use super::{account, open_directory};
use crate::broker::{Change, Directory, Versioned, client_secret};
use crate::config::Config;
use crate::model::{Binding, Client, Policy, Protocol, RecordId, RecordKind, normalise};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Issue a secret for a client and print it, once. The client is made if it is new.
    Issue(Issue),
    /// List all clients.
    List(Listing),
    /// Show one client.
    Show {
        /// Its login name.
        login: String,
        #[command(flatten)]
        format: Format,
    },
    /// Revoke one secret of a client, or the client with all of its secrets.
    Revoke {
        /// Its login name.
        #[arg(required_unless_present = "damaged", conflicts_with = "damaged")]
        login: Option<String>,
        #[command(flatten)]
        what: Revoked,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Revoked {
    /// The id of the secret, as `locum client show` has it.
    #[arg(long, value_name = "ID")]
    secret: Option<String>,
    /// All secrets, and the client itself.
    #[arg(long)]
    all: bool,
    /// Remove the record of this id, which cannot be read, as `locum client list` says.
    #[arg(long, value_name = "ID")]
    damaged: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Issue {
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

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let (config, directory) = open_directory(path).await?;
    match command {
        Command::Issue(issue) => self::issue(&config, &directory, issue).await,
        Command::List(listing) => list(&directory, &listing).await,
        Command::Show { login, format } => show(&directory, &login, &format).await,
        Command::Revoke { what: Revoked { damaged: Some(id), .. }, .. } => {
            list::remove_damaged(&directory, RecordKind::Client, &id).await
        }
        Command::Revoke { login, what } => revoke(&directory, &login.unwrap_or_default(), what.secret.as_deref()).await,
    }
}

async fn issue(config: &Config, directory: &Directory, issue: Issue) -> Result<()> {
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
            let message = format!("{login} is a new client: say which account it acts as with --account");
            return Err(Failure::new(exit::USAGE, message).into());
        }
        None => (
            Client { login: login.clone(), secrets: Vec::new(), bindings: Vec::new(), policy: Policy::default() },
            None,
        ),
    };
    let (bound, policy) = (client.bindings.len(), client.policy.clone());
    for account in accounts {
        if !client.bindings.iter().any(|Binding::Account(bound)| normalise(bound) == normalise(&account)) {
            client.bindings.push(Binding::Account(account));
        }
    }
    extend(&mut client.policy.protocols, issue.protocols);
    extend(&mut client.policy.listeners, issue.listeners);
    extend(&mut client.policy.networks, issue.networks);
    if client.bindings.len() > bound.max(1) && !issue.several {
        let message = format!(
            "{login} would be bound to {} accounts and have to name one at each login, which only SASL PLAIN can; use \
             another login for another account, or say --several if that is what you want",
            client.bindings.len()
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

async fn list(directory: &Directory, listing: &Listing) -> Result<()> {
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

async fn show(directory: &Directory, login: &str, format: &Format) -> Result<()> {
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

/// Revokes the secret of that id, or all.
async fn revoke(directory: &Directory, login: &str, id: Option<&str>) -> Result<()> {
    if id.is_none() && list::was_damaged(directory, RecordKind::Client, check_name(login)?).await? {
        return Ok(());
    }
    let Versioned { record: mut client, version, .. } = find(directory, login).await?;
    let Some(id) = id else {
        directory.remove_client(login, version).await?;
        output::note(format!("{}: revoked with all its secrets", client.login));
        return Ok(());
    };
    let before = client.secrets.len();
    client.secrets.retain(|secret| secret.id != id);
    if client.secrets.len() == before {
        let message = format!("{login} has no secret {id}; see `locum client show {login}`");
        return Err(Failure::new(exit::NOT_FOUND, message).into());
    }
    directory.put_client(&client, Some(version)).await?;
    output::note(format!("{login}: secret {id} revoked"));
    Ok(())
}

async fn find(directory: &Directory, login: &str) -> Result<Versioned<Client>> {
    let login = check_name(login)?;
    let missing = || Failure::new(exit::NOT_FOUND, format!("there is no client {login}; see `locum client list`"));
    Ok(directory.client(login).await?.ok_or_else(missing)?)
}

fn view(Versioned { record: client, changed, .. }: Versioned<Client>) -> View {
    let accounts = client.bindings.into_iter().map(|Binding::Account(name)| name).collect();
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

/// A listener that is not there lets nobody in.
fn check_listeners(config: &Config, named: &[String]) -> Result<()> {
    let known: Vec<&str> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    match named.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("the configuration has no listener {name}; it has: {}", known.join(", "));
            Err(Failure::new(exit::USAGE, message).into())
        }
    }
}

fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "expected a time such as 2027-01-31T00:00:00Z")
}

/// An address alone is a network of one.
fn parse_network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "expected a network such as 10.0.0.0/8 or 2001:db8::/32")
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}
