//! `locum account …`.

mod change;
mod import;
mod list_file;
mod many;
mod prefer;
mod view;

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;

use super::exit::{self, Failure};
use super::list::{Found, Listing};
use super::{desk, kinds, output, places};
use crate::management::accounts::{self, AccountRemoved, AccountView, ToDelete};
use crate::management::rotation::named;
use crate::management::{Desk, Paging, remove_damaged, tenants};
use crate::model::{CredentialKind, RecordKind, normalise};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add an account with its app password.
    Add(change::Add),
    /// Change what is named of an account: upstream, names at the provider, label, app password, which kind of credential
    /// is preferred. If nothing is named, the app password is asked for.
    ///
    /// The preference can be changed for many accounts at once: those of a CSV file, or of a domain.
    Set(change::Set),
    /// Add many accounts, by a CSV file.
    Import(import::Import),
    /// List all accounts.
    List(Listing),
    /// Show one account.
    Show {
        /// The account.
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Remove an account and its credentials. Clients bound to it can log in no more.
    Remove {
        /// The account.
        #[arg(required_unless_present = "damaged")]
        name: Option<String>,
        /// Remove the record of this id, which cannot be read, as `locum account list` says.
        #[arg(long, value_name = "ID", conflicts_with = "name")]
        damaged: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Format {
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let desk = match &command {
        Command::Set(set) if set.may_replace() => desk::look_audited(path).await?,
        _ => desk::look(path).await?,
    };
    match command {
        Command::Add(add) => change::add(&desk, add).await,
        Command::Set(set) => change::set(&desk, set).await,
        Command::Import(import) => import::run(&desk, import).await,
        Command::List(listing) => list(&desk, &listing).await,
        Command::Show { name, format } => show(&desk, &name, &format).await,
        Command::Remove { damaged: Some(id), .. } => {
            output::note(format!("{}: removed", remove_damaged(&desk, RecordKind::Account, &id).await?));
            Ok(())
        }
        Command::Remove { name, damaged: None } => remove(&desk, &name.unwrap_or_default()).await,
    }
}

async fn list(desk: &Desk, listing: &Listing) -> Result<()> {
    let page = async |paging: &Paging| accounts::list(desk, paging).await;
    let Found { records: mut views, rest } = listing.gather(RecordKind::Account, page).await?;
    views.sort_by(|a, b| a.name.cmp(&b.name));
    if listing.json {
        output::json(&views)?;
        return rest.tell();
    }
    let page = async |paging: &Paging| tenants::list(desk, paging).await;
    let tenants = Listing::of_all().gather(RecordKind::Tenant, page).await?;
    let of_domain: HashMap<String, String> =
        tenants.records.into_iter().map(|tenant| (normalise(&tenant.domain), tenant.upstream)).collect();
    let rows = views
        .into_iter()
        .map(|view| {
            let mut kinds: Vec<String> =
                view.credentials.iter().map(|credential| credential.kind.to_string()).collect();
            let domain = accounts::domain_of(&view.name).map(normalise);
            let serves = domain.is_some_and(|domain| of_domain.get(&domain) == Some(&view.upstream));
            if serves && !view.has(CredentialKind::OAuth2) {
                kinds.push("OAuth2 of its domain".to_owned());
            }
            let newest = view.credentials.iter().map(|credential| credential.created).max();
            let (prefers, ends) = (kinds::described(&view.preference), view.ends());
            let [since, ends] = [newest, ends].map(|time| time.map(output::day).unwrap_or_default());
            [view.name, view.upstream, kinds.join(", "), since, view.rotation, prefers, ends]
        })
        .collect();
    output::table(
        ["ACCOUNT", "UPSTREAM", "CREDENTIAL", "SINCE", "ROTATION", "PREFERS", "ENDS"],
        rows,
        listing.none("no accounts yet; add one with `locum account add`"),
    );
    tenants.rest.tell().and(rest.tell())
}

async fn remove(desk: &Desk, name: &str) -> Result<()> {
    let AccountRemoved { name, was_damaged, had, to_delete, still_by_domain, warning } =
        accounts::remove(desk, name, None).await?;
    if was_damaged {
        output::note(format!("{name}: removed; its record was damaged"));
        return Ok(());
    }
    let left = match had[..] {
        [CredentialKind::AppPassword] => "delete its app password in the provider's portal, too",
        [CredentialKind::OAuth2] => "revoke the application's right to it in the provider's portal, too",
        _ => "delete its app password in the provider's portal, too, and revoke the application's right to it",
    };
    output::note(format!("{name}: removed; {left}"));
    // All that may exist at providers and is known here: after this nobody else knows.
    for ToDelete { kind, id, label, at } in &to_delete {
        output::note(format!("  {kind} {} at {at}", named(label, id)));
    }
    if let Some(domain) = still_by_domain {
        output::note(format!(
            "note: clients that are bound to {name} still enter by the credential of {domain}; `locum client revoke` ends \
             that",
        ));
    }
    done_but(warning)
}

/// What was asked for is done; what could not be put in order behind it is an error all the same, and says what is left to do.
pub(super) fn done_but(warning: Option<String>) -> Result<()> {
    warning.map_or(Ok(()), |warning| Err(Failure::new(exit::TEMPORARY, warning).into()))
}

async fn show(desk: &Desk, name: &str, format: &Format) -> Result<()> {
    let found = accounts::record(&desk.directory, name).await?;
    let tenant = accounts::tenant_of(&desk.directory, &found.record).await?;
    let lines: Vec<_> = found.record.credentials.values().flat_map(places::lines).collect();
    let view = AccountView::of(found);
    if format.json {
        return Ok(output::json(&view)?);
    }
    view::print(&view, &lines, tenant.as_deref());
    Ok(())
}
