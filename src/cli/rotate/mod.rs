//! `locum rotate …`: one credential takes the place of another, and no client is touched. Each verb says what it did and
//! what to type next; none shows a secret.

mod hint;
mod import;
mod promote;
mod retire;
mod stage;
mod verify;

use std::path::Path;

use anyhow::Result;

use super::account::check_name;
use super::desk::Desk;
use crate::model::CredentialKind;
use crate::rotation::Subject;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Put a new app password beside the one that logins use. They use it once it is promoted.
    Stage(stage::Arguments),
    /// Log in with what is staged, by each protocol.
    Verify(verify::Arguments),
    /// Let logins use what is staged and verified. The one before is kept for a while, to go back to.
    Promote(promote::Promote),
    /// Let logins use the one before again.
    Rollback(promote::Rollback),
    /// Give up the one before: after that there is no way back to it.
    Retire(retire::Retire),
    /// Give up what is staged. Logins go on with the current one.
    Discard(retire::Discard),
    /// Tick off what was deleted in the provider's portal.
    Deleted(retire::Deleted),
    /// Let nodes try again what the provider refused.
    Retry(Target),
    /// Rotate the app passwords of many accounts, with the new ones from a CSV file: each is staged, verified and promoted.
    Import(import::Import),
}

/// Whose credential it is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Target {
    /// The account; or a domain with an @ before it, for the OAuth2 credential that its accounts share.
    #[arg(value_name = "ACCOUNT")]
    name: String,
    /// The kind of credential: app-password or oauth2.
    #[arg(long, default_value = "app-password")]
    kind: CredentialKind,
}

impl Target {
    /// Whose it is, as the records have it.
    pub(super) fn subject(&self) -> Result<Subject> {
        let name = check_name(&self.name)?;
        Ok(match name.strip_prefix('@') {
            Some(domain) => Subject::Tenant { domain: domain.to_owned() },
            None => Subject::Account { name: name.to_owned(), kind: self.kind },
        })
    }
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let desk = Desk::open(path).await?;
    match command {
        Command::Stage(arguments) => stage::run(&desk, arguments).await,
        Command::Verify(arguments) => verify::run(&desk, arguments).await,
        Command::Promote(arguments) => promote::promote(&desk, arguments).await,
        Command::Rollback(arguments) => promote::roll_back(&desk, arguments).await,
        Command::Retire(arguments) => retire::retire(&desk, arguments).await,
        Command::Discard(arguments) => retire::discard(&desk, arguments).await,
        Command::Deleted(arguments) => retire::deleted(&desk, arguments).await,
        Command::Retry(target) => retire::retry(&desk, target).await,
        Command::Import(arguments) => import::run(&desk, arguments).await,
    }
}
