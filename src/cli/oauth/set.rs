//! `locum oauth set`.

use anyhow::Result;

use super::application::{self, Application};
use super::{kept, place};
use crate::broker::{Directory, Versioned};
use crate::cli::kinds;
use crate::cli::output;
use crate::config::Config;
use crate::credential::oauth2::kept_in;
use crate::management::accounts::{self, Used};
use crate::model::{Account, CredentialKind, Profile};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// The account.
    account: String,
    #[command(flatten)]
    application: Application,
}

pub(super) async fn run(config: &Config, directory: &Directory, set: Set) -> Result<()> {
    let Versioned { record: mut account, version, .. } = accounts::record(directory, &set.account).await?;
    let profile = accounts::profile_of(&config.upstreams, &account.upstream)?;
    let before = account.credentials.get(&CredentialKind::OAuth2).and_then(|slots| slots.current.as_ref());
    let credential = set.application.read(profile, before)?;
    let stored = application::stored(credential.clone(), &set.application.registration.label)?;
    let slots = account.credentials.entry(CredentialKind::OAuth2).or_default();
    let before = slots.clone();
    place::place(slots, stored, config, true)?;
    let now = slots.clone();
    directory.put_account(&account, Some(version)).await?;
    let what = if before.current.is_some() { "changed" } else { "added" };
    output::note(format!("{}: OAuth2 by {} {what}", account.name, credential.grant));
    application::tell_end(&credential);
    place::tell(&before, &now);
    tell_used(directory, &account, profile).await?;
    output::note("see whether the authority takes it:");
    output::note(format!("  locum oauth status {} --try", account.name));
    kept::forget(directory, &kept_in(&before), &kept_in(&now)).await
}

/// Says which kind each protocol uses now, and how to have OAuth2 used.
pub(super) async fn tell_used(directory: &Directory, account: &Account, profile: &Profile) -> Result<()> {
    let tenant = accounts::tenant_of(directory, account).await?.is_some();
    let used = accounts::used(account, tenant, profile);
    output::note("used from now on:");
    kinds::tell_used(&used, &profile.name);
    let could_use = |Used { protocol, kind }: &Used| {
        *kind != Some(CredentialKind::OAuth2) && accounts::takes(profile, *protocol, CredentialKind::OAuth2)
    };
    if used.iter().any(could_use) {
        output::note("to use OAuth2 wherever the provider takes it:");
        output::note(format!("  locum account set {} --prefer oauth2", account.name));
    }
    Ok(())
}
