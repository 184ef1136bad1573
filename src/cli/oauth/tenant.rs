//! `locum oauth add-tenant` and `locum oauth remove-tenant`.

use anyhow::Result;

use super::application::{self, Application};
use super::place;
use crate::broker::{Directory, Versioned};
use crate::cli::exit::{self, Failure};
use crate::cli::list;
use crate::cli::output;
use crate::config::Config;
use crate::management::accounts;
use crate::model::{RecordKind, Slot, Slots, Tenant};

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

pub(super) async fn add(config: &Config, directory: &Directory, add: Add) -> Result<()> {
    let domain = check_domain(&add.domain)?;
    let found = directory.tenant(domain).await?;
    let before = found.as_ref().map(|found| &found.record);
    let Some(upstream) = add.upstream.or(before.map(|before| before.upstream.clone())) else {
        let message = format!("say with --upstream where the accounts of {domain} live");
        return Err(Failure::new(exit::USAGE, message).into());
    };
    let profile = accounts::profile_of(&config.upstreams, &upstream)?;
    // An application is known to one authority.
    let same_place = before.is_none_or(|before| before.upstream == upstream);
    let current = before.filter(|_| same_place).and_then(|before| before.oauth2.current.as_ref());
    let credential = add.application.read(profile, current)?;
    let stored = application::stored(credential.clone(), &add.application.registration.label)?;
    let places = before.map(|before| before.oauth2.clone()).unwrap_or_default();
    let mut tenant = Tenant { domain: domain.to_owned(), upstream, oauth2: places.clone() };
    place::place(&mut tenant.oauth2, stored, config, same_place)?;
    directory.put_tenant(&tenant, found.as_ref().map(|found| found.version)).await?;
    let what = if found.is_some() { "changed" } else { "added" };
    output::note(format!("{domain}: OAuth2 by {} {what}", credential.grant));
    application::tell_end(&credential);
    place::tell(&places, &tenant.oauth2);
    if let Some(Versioned { record: before, .. }) = found.filter(|found| found.record.upstream != tenant.upstream) {
        output::note(format!(
            "note: it is for accounts at {} now, no longer for those at {}",
            tenant.upstream, before.upstream
        ));
    }
    output::note(format!("used by its accounts at {}, where they have nothing else that it takes", tenant.upstream));
    output::note("see whether the authority takes it:");
    output::note(format!("  locum oauth status {domain} --try"));
    output::note("then, to use it before their app passwords:");
    output::note(format!("  locum account set --domain {domain} --prefer oauth2"));
    Ok(())
}

pub(super) async fn remove(directory: &Directory, remove: Remove) -> Result<()> {
    if let Some(id) = remove.damaged {
        return list::remove_damaged(directory, RecordKind::Tenant, &id).await;
    }
    let domain = remove.domain.unwrap_or_default(); // it is required then
    let domain = check_domain(&domain)?;
    if list::was_damaged(directory, RecordKind::Tenant, domain).await? {
        return Ok(());
    }
    let Some(found) = directory.tenant(domain).await? else {
        let message = format!("{domain} has no credential; see `locum oauth status`");
        return Err(Failure::new(exit::NOT_FOUND, message).into());
    };
    directory.remove_tenant(domain, found.version).await?;
    output::note(format!("{}: removed", found.record.domain));
    output::note("its accounts without a credential of their own can log in no more");
    tell_left(&found.record.oauth2);
    Ok(())
}

/// Says what is still there at the provider.
fn tell_left(slots: &Slots) {
    let placed = Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot)).map(place::called);
    let left = slots.leftovers.iter().map(|left| if left.label.is_empty() { &left.id } else { &left.label }.as_str());
    let all: Vec<&str> = placed.chain(left).collect();
    output::note(format!("delete the secret, certificate or key in the provider's portal, too: {}", all.join(", ")));
}

/// A domain as it stands behind an `@`; the `@` may be there, too.
fn check_domain(domain: &str) -> Result<&str> {
    let domain = domain.trim();
    let domain = domain.strip_prefix('@').unwrap_or(domain);
    let is_right = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    if domain.is_empty() || !domain.chars().all(is_right) {
        return Err(Failure::new(
            exit::DATA,
            "a domain is what stands behind the @ of an address, such as contoso.com",
        )
        .into());
    }
    Ok(domain)
}
