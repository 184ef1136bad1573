//! `locum client issue`.

use std::time::Duration;

use anyhow::Result;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::{check_listeners, extend, handout, parse_network, parse_time};
use crate::broker::client_secret::{Alphabet, BITS_ENOUGH, ChooseError, Form, IssueError};
use crate::broker::{Directory, Versioned, client_secret};
use crate::cli::account::{self, check_name};
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::config::Config;
use crate::model::{Binding, Client, Policy, Protocol, Secret, normalise};

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
    /// How many characters it has, for a device whose field is short; those of the id count. Without it, as many as are
    /// good.
    #[arg(long, value_name = "N")]
    length: Option<usize>,
    /// Which characters it is made of, for a device whose field is picky: default, letters, digits, alphanumeric or lower.
    #[arg(long, value_name = "ALPHABET", default_value = "default")]
    alphabet: Alphabet,
    /// Leave the secret with the server of the store, a Vault, and print a token that takes it out, once, within this time,
    /// such as 8h.
    #[arg(long, value_name = "TTL", value_parser = parse_ttl)]
    wrap: Option<Duration>,
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
    let form = Form { alphabet: issue.alphabet, length: issue.length };
    let now = Timestamp::now();
    let issued = client_secret::issue_as(form, &issue.label, issue.expires, &client.secrets, now).await;
    let (record, secret) = issued.map_err(failed)?;
    let id = record.id.clone();
    client.secrets.push(record);
    // First, so that nobody has a secret that was lost on its way; a token for one that is never good does no harm.
    let token = match issue.wrap {
        Some(ttl) => Some((handout::wrap(directory, &client.login, &id, &secret, ttl).await?, ttl)),
        None => None,
    };
    directory.put_client(&client, version).await?;
    warn_of_weakness(form);
    match token {
        Some((token, ttl)) => handout::tell(&client.login, &id, &token, ttl, issue.json),
        None => tell(&client.login, &id, &secret, issue.json),
    }
    Ok(())
}

fn tell(login: &str, id: &str, secret: &Secret, json: bool) {
    let text = secret.expose_text().unwrap_or_default(); // issued secrets are ASCII
    if json {
        return output::once(serde_json::json!({ "login": login, "id": id, "secret": text }));
    }
    output::note(format!("{login}: secret {id} issued; it is shown this once:"));
    output::once(text);
}

fn failed(error: IssueError) -> Failure {
    let code = match error {
        IssueError::TooShort { .. } | IssueError::TooLong => exit::USAGE,
        IssueError::NoIdLeft | IssueError::Chosen(ChooseError::TooMany) => exit::CANNOT_CREATE,
        IssueError::Chosen(_) | IssueError::NoRandomness(_) | IssueError::Busy(_) => exit::TEMPORARY,
    };
    Failure::new(code, error.to_string())
}

fn warn_of_weakness(form: Form) {
    let bits = form.random_bits();
    if bits < BITS_ENOUGH {
        let (length, enough) = (form.length(), form.length_enough());
        output::note(format!(
            "note: its {length} characters have {bits} random bits in them, where {BITS_ENOUGH} are good; let the network or \
             the protocol of this client be limited, too, or take {enough} characters if the device can"
        ));
    }
}

/// As 8h, or 90m.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = text.parse::<SignedDuration>().ok().and_then(|ttl| Duration::try_from(ttl).ok());
    let bounds = handout::TTL_MIN..=handout::TTL_MAX;
    ttl.filter(|ttl| bounds.contains(ttl)).ok_or_else(|| "expected a time from 1m to 168h, such as 8h".to_owned())
}
