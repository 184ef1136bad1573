//! `locum oauth …`: what access tokens are got with.

pub(super) mod application;
mod login;
mod loopback;
mod place;
mod set;
mod status;
mod tenant;

use std::future::Future;
use std::path::Path;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::exit::{self, Failure};
use super::{desk, open_directory};
use crate::app::{Problems, note_all};
use crate::config::Config;
use crate::credential::oauth2::{FailureKind, TokenFailure, Tokens};
use crate::net::{HttpOptions, Https, tls};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Let the owner of a mailbox consent, and keep the refresh token that comes of it. The account is made if it is new.
    Login(login::Login),
    /// Give one account an application's credential.
    Set(set::Set),
    /// Give a whole domain an application's credential, for all its accounts that have none of their own.
    AddTenant(tenant::Add),
    /// Remove a domain's credential.
    RemoveTenant(tenant::Remove),
    /// Show the OAuth2 credentials of domains and accounts, and which of them end soon.
    Status(status::Status),
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    match command {
        Command::Login(login) => login::run(&desk::call(path).await?, login).await,
        Command::Set(set) => set::run(&desk::look(path).await?, set).await,
        Command::AddTenant(add) => tenant::add(&desk::look(path).await?, add).await,
        Command::RemoveTenant(remove) => tenant::remove(&desk::look(path).await?, remove).await,
        Command::Status(status) => {
            let (config, directory) = open_directory(path).await?;
            status::run(&config, &directory, status).await
        }
    }
}

/// HTTPS to authorities, which trusts what upstreams are trusted by.
fn https(config: &Config) -> Result<Https> {
    let mut problems = Vec::new();
    let tls = note_all(&mut problems, tls::client_config(&config.tls));
    Problems::none_in(problems, false)?;
    let tls = tls.expect("there is one if there are no problems");
    Ok(Https::new(&tls, HttpOptions::default())?)
}

/// Does some work while tokens can be had. What was begun for them is brought to an end.
pub(super) async fn while_run<T>(tokens: &Tokens, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let working = async {
        let done = work.await;
        stop.cancel();
        done
    };
    tokio::join!(tokens.run(stop.clone()), working).1
}

/// A refusal of an authority, with the exit code for it.
fn refused(failure: &TokenFailure) -> Failure {
    let code = match failure.kind() {
        FailureKind::Transient => exit::TEMPORARY,
        FailureKind::Permanent | FailureKind::NeedsConsent => exit::DENIED,
    };
    Failure::new(code, failure.to_string())
}
