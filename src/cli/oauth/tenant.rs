//! `locum oauth add-tenant` and `locum oauth remove-tenant`.

use anyhow::Result;

use super::application::{self, Application};
use super::place;
use crate::cli::output;
use crate::management::tenants::{self, TenantRemoved, TenantView};
use crate::management::{Desk, remove_damaged};
use crate::model::RecordKind;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Add {
    /// The domain behind the @ of the accounts.
    domain: String,
    /// The upstream that they live at, as [upstream.<name>] in the configuration; if it is not said, that of before.
    #[arg(long)]
    upstream: Option<String>,
    #[command(flatten)]
    application: Application,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Remove {
    /// The domain.
    #[arg(required_unless_present = "damaged")]
    domain: Option<String>,
    /// Remove the record of this id, which cannot be read, as `locum oauth status` says.
    #[arg(long, value_name = "ID", conflicts_with = "domain")]
    damaged: Option<String>,
}

pub(super) async fn add(desk: &Desk, add: Add) -> Result<()> {
    let at = tenants::place_of(desk, &add.domain, add.upstream).await?;
    let credential = add.application.read(at.profile, at.current())?;
    let before = at.before().cloned();
    let set = tenants::put(desk, at, credential.clone(), &add.application.registration.label).await?;
    let TenantView { domain, upstream, places, .. } = &set.tenant;
    let what = if set.was_there { "changed" } else { "added" };
    output::note(format!("{domain}: OAuth2 by {} {what}", set.grant));
    application::tell_end(&credential);
    place::tell(before.as_ref(), places, &set.to_delete);
    if let Some(before) = set.no_longer_for {
        output::note(format!("note: it is for accounts at {upstream} now, no longer for those at {before}"));
    }
    output::note(format!("used by its accounts at {upstream}, where they have nothing else that it takes"));
    output::note("see whether the authority takes it:");
    output::note(format!("  locum oauth status {domain} --try"));
    output::note("then, to use it before their app passwords:");
    output::note(format!("  locum account set --domain {domain} --prefer oauth2"));
    Ok(())
}

pub(super) async fn remove(desk: &Desk, remove: Remove) -> Result<()> {
    if let Some(id) = remove.damaged {
        output::note(format!("{}: removed", remove_damaged(desk, RecordKind::Tenant, &id).await?));
        return Ok(());
    }
    let domain = remove.domain.unwrap_or_default(); // it is required then
    let TenantRemoved { domain, was_damaged, to_delete } = tenants::remove(desk, &domain, None).await?;
    if was_damaged {
        output::note(format!("{domain}: removed; its record was damaged"));
        return Ok(());
    }
    output::note(format!("{domain}: removed"));
    output::note("its accounts without a credential of their own can log in no more");
    let all = to_delete.join(", ");
    output::note(format!("delete the secret, certificate or key in the provider's portal, too: {all}"));
    Ok(())
}
