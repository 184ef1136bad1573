//! `locum account …`.

mod change;
mod import;
mod list_file;
mod many;
mod prefer;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use self::view::View;
use super::exit::{self, Failure};
use super::kinds;
use super::list::{self, Found, Listing};
use super::oauth::kept;
use super::open_directory;
use super::output;
use super::places;
use crate::broker::{Directory, Versioned};
use crate::config::Config;
use crate::model::{Account, CredentialKind, Profile, RecordId, RecordKind, normalise};

pub(super) use self::change::empty;
pub(super) use self::prefer::has_tenant;

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
    let (config, directory) = open_directory(path).await?;
    match command {
        Command::Add(add) => change::add(&config, &directory, add).await,
        Command::Set(set) => change::set(&config, &directory, set).await,
        Command::Import(import) => import::run(&config, &directory, import).await,
        Command::List(listing) => list(&directory, &listing).await,
        Command::Show { name, format } => show(&directory, &name, &format).await,
        Command::Remove { damaged: Some(id), .. } => list::remove_damaged(&directory, RecordKind::Account, &id).await,
        Command::Remove { name, damaged: None } => remove(&directory, &name.unwrap_or_default()).await,
    }
}

async fn list(directory: &Directory, listing: &Listing) -> Result<()> {
    let page = async |after: Option<&RecordId>, limit| directory.accounts_page(after, limit).await;
    let Found { records, rest } = listing.read(RecordKind::Account, page).await?;
    let mut views: Vec<View> = records.into_iter().map(View::of).collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    if listing.json {
        output::json(&views)?;
        return rest.tell();
    }
    let page = async |after: Option<&RecordId>, limit| directory.tenants_page(after, limit).await;
    let tenants = Listing::of_all().read(RecordKind::Tenant, page).await?;
    let of_domain: HashMap<String, String> =
        tenants.records.into_iter().map(|found| (normalise(&found.record.domain), found.record.upstream)).collect();
    let rows = views
        .into_iter()
        .map(|view| {
            let mut kinds: Vec<String> =
                view.credentials.iter().map(|credential| credential.kind.to_string()).collect();
            let own = view.credentials.iter().any(|credential| credential.kind == CredentialKind::OAuth2);
            let domain = prefer::domain_of(&view.name).map(normalise);
            if !own && domain.is_some_and(|domain| of_domain.get(&domain) == Some(&view.upstream)) {
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

async fn remove(directory: &Directory, name: &str) -> Result<()> {
    if list::was_damaged(directory, RecordKind::Account, check_name(name)?).await? {
        return Ok(());
    }
    let Versioned { record: account, version, .. } = find(directory, name).await?;
    directory.remove_account(name, version).await?;
    let has = |kind| account.credentials.get(&kind).is_some_and(|slots| slots.current.is_some());
    let left = match (has(CredentialKind::AppPassword), has(CredentialKind::OAuth2)) {
        (true, false) => "delete its app password in the provider's portal, too",
        (false, true) => "revoke the application's right to it in the provider's portal, too",
        _ => "delete its app password in the provider's portal, too, and revoke the application's right to it",
    };
    let kept = kept::forget_all(directory, account.credentials.get(&CredentialKind::OAuth2)).await;
    output::note(format!("{}: removed; {left}", account.name));
    tell_to_delete(&account);
    if let Some(domain) = prefer::tenant_of(directory, &account).await? {
        output::note(format!(
            "note: clients that are bound to {} still enter by the credential of {domain}; `locum client revoke` ends that",
            account.name
        ));
    }
    kept
}

/// All that may exist at providers and is known here: after this nobody else knows.
fn tell_to_delete(account: &Account) {
    for (kind, slots) in &account.credentials {
        let next = slots.next.as_ref().map(|next| &next.credential);
        let previous = slots.previous.as_ref().filter(|previous| previous.usable).map(|previous| &previous.credential);
        for stored in slots.current.iter().chain(next).chain(previous) {
            output::note(format!("  {kind} {} at {}", places::called(stored), account.upstream));
        }
        for left in &slots.leftovers {
            let at = left.upstream.as_ref().unwrap_or(&account.upstream);
            output::note(format!("  {kind} {} at {at}", places::named(&left.label, &left.id)));
        }
    }
}

async fn show(directory: &Directory, name: &str, format: &Format) -> Result<()> {
    let found = find(directory, name).await?;
    let tenant = prefer::tenant_of(directory, &found.record).await?;
    let view = View::of(found);
    if format.json {
        return Ok(output::json(&view)?);
    }
    view.print(tenant.as_deref());
    Ok(())
}

pub(super) async fn find(directory: &Directory, name: &str) -> Result<Versioned<Account>> {
    let name = check_name(name)?;
    let missing = || Failure::new(exit::NOT_FOUND, format!("there is no account {name}; see `locum account list`"));
    Ok(directory.account(name).await?.ok_or_else(missing)?)
}

/// The upstream of that name.
pub(super) fn profile<'a>(config: &'a Config, upstream: &str) -> Result<&'a Profile> {
    profile_of(&config.upstreams, upstream)
}

/// The upstream of that name, among these.
pub(super) fn profile_of<'a>(upstreams: &'a BTreeMap<String, Arc<Profile>>, upstream: &str) -> Result<&'a Profile> {
    upstreams.get(upstream).map(|profile| &**profile).ok_or_else(|| {
        let known: Vec<&str> = upstreams.keys().map(String::as_str).collect();
        let message = format!("the configuration has no upstream {upstream}; it has: {}", known.join(", "));
        Failure::new(exit::USAGE, message).into()
    })
}

/// The name without the blanks around it. It goes into the provider's dialogue, and onto terminals.
pub(super) fn check_name(name: &str) -> Result<&str> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::new(exit::DATA, "a name must not be empty or contain control characters").into());
    }
    Ok(name.trim())
}

/// What it is called in a portal, without the blanks around it; empty for nothing. It goes onto terminals.
pub(super) fn check_label(label: &str) -> Result<&str> {
    const CHARS_MAX: usize = 200;
    let label = label.trim();
    if label.chars().any(char::is_control) || label.chars().count() > CHARS_MAX {
        let message = format!("a label must not be longer than {CHARS_MAX} characters or contain control characters");
        return Err(Failure::new(exit::DATA, message).into());
    }
    Ok(label)
}
