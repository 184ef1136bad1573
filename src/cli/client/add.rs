//! `locum client add`: a client that has no secret yet.

use anyhow::Result;

use super::limits::Limits;
use crate::cli::output;
use crate::management::{Desk, clients};

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

pub(super) async fn run(desk: &Desk, add: Add) -> Result<()> {
    let Add { login, accounts, limits } = add;
    let added = clients::add(desk, clients::Add { login, accounts, policy: limits.into() }).await?;
    output::note(format!("{}: added; it cannot log in before it has a secret", added.client.login));
    if added.must_name_account {
        output::note("note: it has to name one of its accounts at each login, which only SASL PLAIN can");
    }
    Ok(())
}
