//! `locum client add`: a client that has no secret yet.

use anyhow::Result;

use super::limits::Limits;
use crate::broker::Directory;
use crate::cli::account::{self, check_name};
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::config::Config;
use crate::model::{Binding, Client, Policy, normalise};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Add {
    /// The login name that the client uses.
    login: String,
    /// The account that it acts as; may be given again for others.
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    #[command(flatten)]
    limits: Limits,
}

pub(super) async fn run(config: &Config, directory: &Directory, add: Add) -> Result<()> {
    let login = check_name(&add.login)?.to_owned();
    if directory.client(&login).await?.is_some() {
        let message = format!("there is a client {login} already; change it with `locum client set`");
        return Err(Failure::new(exit::CANNOT_CREATE, message).into());
    }
    let mut client = Client { login, secrets: Vec::new(), bindings: Vec::new(), policy: Policy::default() };
    for name in &add.accounts {
        let account = account::find(directory, name).await?.record.name;
        if !client.bindings.iter().filter_map(Binding::account).any(|bound| normalise(bound) == normalise(&account)) {
            client.bindings.push(Binding::Account(account));
        }
    }
    add.limits.put_into(&mut client.policy, config)?;
    directory.put_client(&client, None).await?;
    output::note(format!("{}: added; it cannot log in before it has a secret", client.login));
    if client.bindings.len() > 1 {
        output::note("note: it has to name one of its accounts at each login, which only SASL PLAIN can");
    }
    Ok(())
}
