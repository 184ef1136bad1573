//! `locum rotate …`: one credential takes the place of another, and no client is touched. Each verb says what it did and
//! what to type next; none shows a secret.

mod by_hook;
pub(super) mod crash;
mod due;
mod go;
pub(super) mod hint;
mod import;
mod leave;
mod oauth2;
pub(super) mod promote;
mod retire;
mod stage;
mod status;
mod upkeep;
mod verify;

use std::path::Path;

use anyhow::Result;

use super::desk;
use crate::management::check_name;
use crate::model::CredentialKind;
use crate::rotation::Subject;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The whole sequence for one account: stage, verify, promote, look again.
    Run(go::Arguments),
    /// Put a new app password beside the one that logins use. They use it once it is promoted.
    Stage(stage::Arguments),
    /// Log in with what is staged, by each protocol that takes it.
    Verify(verify::Arguments),
    /// Let logins use what is staged and verified. The one before is kept for a while, to go back to.
    Promote(promote::Promote),
    /// Let logins use the one before again, if the provider still takes it.
    Rollback(promote::Rollback),
    /// Give up the one before: after that there is no way back to it.
    Retire(retire::Retire),
    /// Give up what is staged. Logins go on with the current one.
    Discard(leave::Discard),
    /// Tick off what was deleted in the provider's portal.
    Deleted(leave::Deleted),
    /// Print the certificate of what is staged, or else of what is current, to be uploaded in the provider's portal.
    Export(oauth2::Export),
    /// Let nodes try again what the provider refused.
    Retry(Target),
    /// Rotate the app passwords of many accounts, with the new ones from a CSV file: each is staged, verified and promoted.
    Import(import::Import),
    /// Show what is due: what is too old, ends, was begun and not ended, or is to be deleted at the provider.
    Due(due::Arguments),
    /// Say how many app passwords the portal shows in all, those that are none of ours among them.
    Count(upkeep::Count),
    /// Say what the portal calls the one that is staged, or another one.
    Label(upkeep::Label),
    /// Show how far rotations are, what is to be deleted in the portal, and what to type next.
    Status(status::Arguments),
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
        subject(&self.name, self.kind)
    }
}

/// Whose it is that is named so.
fn subject(name: &str, kind: CredentialKind) -> Result<Subject> {
    let name = check_name(name)?;
    Ok(match name.strip_prefix('@') {
        Some(domain) => Subject::Tenant { domain: domain.to_owned() },
        None => Subject::Account { name: name.to_owned(), kind },
    })
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    if let Command::Due(arguments) = command {
        return due::run(path, arguments).await;
    }
    let desk = desk::open(path).await?;
    match command {
        Command::Due(_) => Ok(()), // it needs no provider
        Command::Run(arguments) => go::run(&desk, arguments).await,
        Command::Stage(arguments) => stage::run(&desk, arguments).await,
        Command::Verify(arguments) => verify::run(&desk, arguments).await,
        Command::Promote(arguments) => promote::promote(&desk, arguments).await,
        Command::Rollback(arguments) => promote::roll_back(&desk, arguments).await,
        Command::Import(arguments) => import::run(&desk, arguments).await,
        Command::Retire(arguments) => retire::run(&desk, arguments).await,
        Command::Discard(arguments) => leave::discard(&desk, arguments).await,
        Command::Deleted(arguments) => leave::deleted(&desk, arguments).await,
        Command::Export(arguments) => oauth2::export(&desk, arguments).await,
        Command::Retry(target) => upkeep::retry(&desk, &target).await,
        Command::Count(arguments) => upkeep::count(&desk, &arguments).await,
        Command::Label(arguments) => upkeep::label(&desk, &arguments).await,
        Command::Status(arguments) => status::run(&desk, &arguments).await,
    }
}
