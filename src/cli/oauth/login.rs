//! `locum oauth login`: a person consents, by device code or in a browser on this machine. The refresh token is written
//! before the account that needs it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::application::{self, Registration};
use super::loopback::{self, Loopback};
use super::{refused, set};
use crate::broker::{Authorities, Directory, DirectoryError, Versioned};
use crate::cli::account::done_but;
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::cli::progress::Waiting;
use crate::credential::oauth2::{AuthorizationCode, DeviceCode, Grant, OAuth2, TokenEndpoint, TokenFailure, kept_in};
use crate::management::credentials::{self, authority};
use crate::management::{Desk, ManagementError, accounts, check_name, check_new_name};
use crate::model::{Account, Authority, CredentialKind, KeptToken, Profile, Protocol, Secret, Slots, StoredCredential};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Login {
    /// The account.
    account: String,
    /// The upstream that it lives at, if the account is to be made.
    #[arg(long)]
    upstream: Option<String>,
    /// Consent in a browser on this machine.
    #[arg(long, conflicts_with = "device")]
    browser: bool,
    /// Consent in a browser anywhere, by entering a code. Used unless --browser is given, where the provider has it.
    #[arg(long)]
    device: bool,
    #[command(flatten)]
    registration: Registration,
}

pub(super) async fn run(desk: &Desk, login: Login) -> Result<()> {
    let directory = &desk.directory;
    let account = account_to_be(directory, &login).await?;
    let profile = accounts::profile_of(&desk.profiles, &account.upstream)?;
    let authority = authority(profile)?;
    let before = current(&account).cloned();
    let credential = credential(&login.registration, before.as_ref(), profile)?;
    // What is wrong with it is said before anybody is bothered.
    let stored = credentials::stored(credential.clone(), &login.registration.label)?;
    let http = Authorities::new(desk.https.clone());

    let by_device = login.device || (!login.browser && authority.device_url.is_some());
    let person = account.identity(Protocol::Submission);
    let consented = if by_device {
        by_device_code(&http, &credential, authority, person).await
    } else {
        in_browser(&http, &credential, authority, person).await?
    };
    let refresh_token = consented.map_err(|failure| {
        if by_device && is_blocked(&failure) && authority.authorize_url.is_some() {
            output::note("note: many organisations block the device flow and nothing else: try --browser");
        }
        refused(&failure)
    })?;

    let token = KeptToken { credential: stored.id.clone(), refresh_token, obtained: Timestamp::now() };
    directory.put_token(&token, None).await?;
    let written = accounts::write_oauth2(desk, account, &stored, before.as_ref()).await;
    let (account, slots_before) = match written {
        Ok(written) => written,
        Err(error) => {
            // A store that failed may have written the account all the same: then the token is needed. Else nobody will use
            // it; the error that led here is the one to tell of.
            if !matches!(&error, ManagementError::Directory(DirectoryError::Store(_))) {
                let _ = credentials::forget(directory, &kept_in(&Slots::of(stored)), &BTreeSet::new()).await;
            }
            return Err(error.into());
        }
    };
    output::note(format!(
        "{}: OAuth2 by {} {}",
        account.name,
        credential.grant,
        if before.is_some() { "changed" } else { "added" }
    ));
    application::tell_end(&credential);
    let slots = account.credentials.get(&CredentialKind::OAuth2).cloned().unwrap_or_default();
    set::tell_placed(&slots_before, &slots);
    set::tell_used(directory, &account, profile).await?;
    output::note("the provider does not say who consented; see that it was the right person:");
    output::note(format!("  locum probe {}", account.name));
    done_but(credentials::forget(directory, &kept_in(&slots_before), &kept_in(&slots)).await)
}

/// The account as it is, or as it will be made.
async fn account_to_be(directory: &Directory, login: &Login) -> Result<Account> {
    let name = check_name(&login.account)?;
    match (directory.account(name).await?, &login.upstream) {
        (Some(Versioned { record, .. }), None) => Ok(record),
        (Some(Versioned { record, .. }), Some(upstream)) if record.upstream == *upstream => Ok(record),
        (Some(Versioned { record, .. }), Some(_)) => {
            let message = format!("{name} lives at {}; `locum account set` moves it", record.upstream);
            Err(Failure::new(exit::USAGE, message).into())
        }
        (None, Some(upstream)) => Ok(accounts::empty(check_new_name(name)?.to_owned(), upstream.clone())),
        (None, None) => {
            let message = format!("there is no account {name}; to make it, say with --upstream where it lives");
            Err(Failure::new(exit::NOT_FOUND, message).into())
        }
    }
}

fn current(account: &Account) -> Option<&StoredCredential> {
    account.credentials.get(&CredentialKind::OAuth2).and_then(|slots| slots.current.as_ref())
}

/// The application to consent to. Where it is the one of last time, what is not named is as it was then.
fn credential(named: &Registration, before: Option<&StoredCredential>, profile: &Profile) -> Result<OAuth2> {
    let before = named.before(before, Grant::RefreshToken);
    let (tenant, client_id) = named.names(before.as_ref(), profile)?;
    let authentication = match &before {
        Some(before) if !named.secret.is_given() && named.secret_expires.is_none() => before.authentication.clone(),
        _ => named.authentication(false, profile)?,
    };
    Ok(OAuth2 { tenant, client_id, authentication, grant: Grant::RefreshToken })
}

async fn by_device_code(
    http: &dyn TokenEndpoint,
    credential: &OAuth2,
    authority: &Authority,
    person: &str,
) -> Result<Secret, TokenFailure> {
    let code = DeviceCode::start(http, credential, authority).await?;
    output::note(format!("{person} must consent. On any machine with a browser:"));
    output::note(format!("  open   {}", code.verification_uri));
    output::note(format!("  enter  {}", code.user_code));
    if let Some(complete) = &code.verification_uri_complete {
        output::note(format!("  or     {complete}"));
    }
    output::note(format!("waiting for that, {} at most", minutes(code.expires_in)));
    let _waiting = Waiting::begin("waiting for consent");
    code.wait(http, credential, authority).await
}

async fn in_browser(
    http: &dyn TokenEndpoint,
    credential: &OAuth2,
    authority: &Authority,
    person: &str,
) -> Result<Result<Secret, TokenFailure>> {
    let loopback = Loopback::bind().await.context("cannot open a port for the browser to come back to")?;
    let begun = match AuthorizationCode::begin(credential, authority, &loopback.redirect_uri(), person) {
        Ok(begun) => begun,
        Err(failure) => return Ok(Err(failure)),
    };
    let port = loopback.port;
    output::note(format!("{person} must consent. In a browser on this machine, open:"));
    output::note(format!("  {}", begun.url));
    output::note(format!("(a browser elsewhere comes back through: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE)"));
    output::note(format!("waiting for that, {} at most", minutes(loopback::WAIT)));
    let waiting = Waiting::begin("waiting for consent");
    let Some(redirected) = loopback.wait(|query| begun.redirected(query)).await else {
        drop(waiting);
        return Err(Failure::new(exit::DENIED, "the browser did not come back in time; run it again").into());
    };
    Ok(begun.exchange(redirected, http, credential, authority).await)
}

/// Whether it is one of Microsoft's codes for conditional access, by which organisations block the device flow.
fn is_blocked(failure: &TokenFailure) -> bool {
    failure.code().is_some_and(|code| code.starts_with("AADSTS5300"))
}

fn minutes(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
