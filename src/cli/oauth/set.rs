//! `locum oauth set`.

use anyhow::Result;

use super::application::{self, Application};
use super::place;
use crate::broker::{Directory, Versioned};
use crate::cli::account::done_but;
use crate::cli::{kinds, output};
use crate::credential::oauth2::kept_in;
use crate::management::accounts::{self, Used};
use crate::management::rotation::Places;
use crate::management::{Desk, credentials};
use crate::model::{Account, CredentialKind, Profile, Slots};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// The account.
    account: String,
    #[command(flatten)]
    application: Application,
}

pub(super) async fn run(desk: &Desk, set: Set) -> Result<()> {
    let Versioned { record: mut account, version, .. } = accounts::record(&desk.directory, &set.account).await?;
    let profile = accounts::profile_of(&desk.profiles, &account.upstream)?;
    let before = account.credentials.get(&CredentialKind::OAuth2).and_then(|slots| slots.current.as_ref());
    let credential = set.application.read(profile, before)?;
    let stored = credentials::stored(credential.clone(), &set.application.registration.label)?;
    let slots = account.credentials.entry(CredentialKind::OAuth2).or_default();
    let before = slots.clone();
    credentials::place(slots, stored, desk, true)?;
    let now = slots.clone();
    desk.directory.put_account(&account, Some(version)).await?;
    let what = if before.current.is_some() { "changed" } else { "added" };
    output::note(format!("{}: OAuth2 by {} {what}", account.name, credential.grant));
    application::tell_end(&credential);
    tell_placed(&before, &now);
    tell_used(&desk.directory, &account, profile).await?;
    output::note("see whether the authority takes it:");
    output::note(format!("  locum oauth status {} --try", account.name));
    done_but(credentials::forget(&desk.directory, &kept_in(&before), &kept_in(&now)).await)
}

/// Says what became of those that were there before.
pub(super) fn tell_placed(before: &Slots, now: &Slots) {
    let to_delete = accounts::new_leftovers(before, now);
    place::tell(before.current.as_ref(), &Places::of(CredentialKind::OAuth2, now), &to_delete);
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
