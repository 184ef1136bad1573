//! `locum account …`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::exit::{self, Failure};
use super::list::{self, Found, Listing};
use super::open_directory;
use super::output;
use super::secret_input::SecretInput;
use crate::broker::{Change, Directory, Versioned, client_secret};
use crate::config::Config;
use crate::credential;
use crate::model::{Account, CredentialKind, Identity, Preference, Profile, Protocol, RecordId, RecordKind, Slots};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add an account with its app password.
    Add(Add),
    /// Change what is named of an account: upstream, names at the provider, label, app password. If nothing is named, the
    /// app password is asked for.
    Set(Set),
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
pub(super) struct Add {
    /// The account, usually its address.
    name: String,
    /// The upstream that it lives at, as [upstream.<name>] in the configuration.
    #[arg(long)]
    upstream: String,
    #[command(flatten)]
    details: Details,
}

#[derive(Debug, clap::Args)]
pub(super) struct Set {
    /// The account.
    name: String,
    /// The upstream that it lives at from now on.
    #[arg(long)]
    upstream: Option<String>,
    #[command(flatten)]
    details: Details,
}

#[derive(Debug, clap::Args)]
struct Details {
    /// The name to log in upstream with, if it is not the account's own; empty: the account's own again.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// The name to log in upstream with by one protocol: imap=NAME, pop3=NAME or submission=NAME.
    #[arg(long, value_name = "PROTOCOL=NAME", value_parser = parse_identity)]
    identity_for: Vec<(Protocol, String)>,
    /// The name that the app password bears in the provider's portal, to find it there.
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    secret: SecretInput,
}

impl Details {
    /// Whether anything but a secret was named.
    fn names_any(&self) -> bool {
        self.identity.is_some() || !self.identity_for.is_empty() || self.label.is_some()
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Format {
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

/// What is shown of an account: never a secret.
#[derive(Debug, Serialize)]
struct View {
    name: String,
    upstream: String,
    identity: Identity,
    credentials: Vec<CredentialView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Change>,
}

#[derive(Debug, Serialize)]
struct CredentialView {
    kind: CredentialKind,
    id: String,
    label: String,
    created: Timestamp,
}

pub(super) async fn run(path: &Path, command: Command) -> Result<()> {
    let (config, directory) = open_directory(path).await?;
    match command {
        Command::Add(add) => self::add(&config, &directory, add).await,
        Command::Set(set) => self::set(&config, &directory, set).await,
        Command::List(listing) => list(&directory, &listing).await,
        Command::Show { name, format } => show(&directory, &name, &format).await,
        Command::Remove { damaged: Some(id), .. } => list::remove_damaged(&directory, RecordKind::Account, &id).await,
        Command::Remove { name, damaged: None } => remove(&directory, &name.unwrap_or_default()).await,
    }
}

async fn add(config: &Config, directory: &Directory, add: Add) -> Result<()> {
    let profile = profile(config, &add.upstream)?;
    let name = check_name(&add.name)?.to_owned();
    if directory.account(&name).await?.is_some() {
        let message = format!("there is an account {name} already; change it with `locum account set`");
        return Err(Failure::new(exit::CANNOT_CREATE, message).into());
    }
    let mut account = Account {
        name,
        upstream: add.upstream,
        identity: Identity::default(),
        credentials: BTreeMap::new(),
        preference: Preference::default(),
    };
    store_password(&mut account, profile, &add.details)?;
    set_identity(&mut account, &add.details)?;
    directory.put_account(&account, None).await?;
    output::note(format!("{}: added", account.name));
    warn_of_protocols_without_passwords(profile);
    Ok(())
}

async fn set(config: &Config, directory: &Directory, set: Set) -> Result<()> {
    let Versioned { record: mut account, version, .. } = find(directory, &set.name).await?;
    let Set { upstream, details, .. } = set;
    let moves = upstream.as_ref().is_some_and(|upstream| *upstream != account.upstream);
    // A password is for one provider and must not be shown to another. Nothing named: it is the password that changes.
    let takes_secret = details.secret.is_given() || moves || !(upstream.is_some() || details.names_any());
    if let Some(upstream) = upstream.filter(|_| moves) {
        account.upstream = upstream;
        account.identity = Identity::default(); // those were its names at the other provider
    }
    let profile = profile(config, &account.upstream)?;
    if takes_secret {
        store_password(&mut account, profile, &details)?;
    } else if let Some(label) = &details.label {
        relabel(&mut account, label)?;
    }
    set_identity(&mut account, &details)?;
    directory.put_account(&account, Some(version)).await?;
    let what = if takes_secret { "changed, the app password with it" } else { "changed; the app password stays" };
    output::note(format!("{}: {what}", account.name));
    if moves {
        warn_of_protocols_without_passwords(profile);
    }
    Ok(())
}

async fn list(directory: &Directory, listing: &Listing) -> Result<()> {
    let page = async |after: Option<&RecordId>, limit| directory.accounts_page(after, limit).await;
    let Found { records, rest } = listing.read(RecordKind::Account, page).await?;
    let mut views: Vec<View> = records.into_iter().map(view).collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    if listing.json {
        output::json(&views)?;
        return rest.tell();
    }
    let rows = views
        .into_iter()
        .map(|view| {
            let newest = view.credentials.into_iter().next();
            let (kind, created) = newest.map_or_else(Default::default, |credential| {
                (credential.kind.to_string(), credential.created.strftime("%Y-%m-%d").to_string())
            });
            [view.name, view.upstream, kind, created]
        })
        .collect();
    output::table(
        ["ACCOUNT", "UPSTREAM", "CREDENTIAL", "SINCE"],
        rows,
        listing.none("no accounts yet; add one with `locum account add`"),
    );
    rest.tell()
}

async fn remove(directory: &Directory, name: &str) -> Result<()> {
    if list::was_damaged(directory, RecordKind::Account, check_name(name)?).await? {
        return Ok(());
    }
    let found = find(directory, name).await?;
    directory.remove_account(name, found.version).await?;
    let account = found.record.name;
    output::note(format!("{account}: removed; delete its app password in the provider's portal, too"));
    Ok(())
}

async fn show(directory: &Directory, name: &str, format: &Format) -> Result<()> {
    let view = view(find(directory, name).await?);
    if format.json {
        return Ok(output::json(&view)?);
    }
    output::line(format!("account     {}", view.name));
    output::line(format!("upstream    {}", view.upstream));
    if let Some(identity) = &view.identity.all {
        output::line(format!("identity    {identity}"));
    }
    for (protocol, identity) in &view.identity.by_protocol {
        output::line(format!("identity    {identity} ({protocol})"));
    }
    for CredentialView { kind, id, label, created } in &view.credentials {
        let label = if label.is_empty() { String::new() } else { format!(", called {label:?} in the portal") };
        output::line(format!("credential  {kind} {id}, since {}{label}", output::minute(*created)));
    }
    if let Some(Change { by, at }) = &view.changed {
        output::line(format!("changed     {} by {by}", output::minute(*at)));
    }
    Ok(())
}

fn view(Versioned { record: account, changed, .. }: Versioned<Account>) -> View {
    let current = |(kind, slots): (CredentialKind, Slots)| {
        let stored = slots.current?;
        Some(CredentialView { kind, id: stored.id, label: stored.label, created: stored.created })
    };
    let credentials = account.credentials.into_iter().filter_map(current).collect();
    View { name: account.name, upstream: account.upstream, identity: account.identity, credentials, changed }
}

pub(super) async fn find(directory: &Directory, name: &str) -> Result<Versioned<Account>> {
    let name = check_name(name)?;
    let missing = || Failure::new(exit::NOT_FOUND, format!("there is no account {name}; see `locum account list`"));
    Ok(directory.account(name).await?.ok_or_else(missing)?)
}

fn profile<'a>(config: &'a Config, upstream: &str) -> Result<&'a Profile> {
    config.upstreams.get(upstream).map(|profile| &**profile).ok_or_else(|| {
        let known: Vec<&str> = config.upstreams.keys().map(String::as_str).collect();
        let message = format!("the configuration has no upstream {upstream}; it has: {}", known.join(", "));
        Failure::new(exit::USAGE, message).into()
    })
}

fn store_password(account: &mut Account, profile: &Profile, details: &Details) -> Result<()> {
    let pasted = details.secret.read(&format!("app password of {}", account.name))?;
    let id = client_secret::random_id()?;
    let label = details.label.as_deref().unwrap_or_default();
    let stored = credential::new_app_password(&pasted, profile.app_password, id, label, Timestamp::now())?;
    account.credentials.entry(CredentialKind::AppPassword).or_default().current = Some(stored);
    Ok(())
}

/// The secret stays; only what it is called in the portal was put down wrongly, or not at all.
fn relabel(account: &mut Account, label: &str) -> Result<()> {
    let current = account.credentials.get_mut(&CredentialKind::AppPassword).and_then(|slots| slots.current.as_mut());
    let Some(current) = current else {
        let message = format!("{} has no app password that could bear a label; give it one, too", account.name);
        return Err(Failure::new(exit::DATA, message).into());
    };
    label.clone_into(&mut current.label);
    Ok(())
}

fn set_identity(account: &mut Account, details: &Details) -> Result<()> {
    if let Some(name) = &details.identity {
        account.identity.all = if name.is_empty() { None } else { Some(check_name(name)?.to_owned()) };
    }
    for (protocol, name) in &details.identity_for {
        if name.is_empty() {
            account.identity.by_protocol.remove(protocol);
        } else {
            account.identity.by_protocol.insert(*protocol, check_name(name)?.to_owned());
        }
    }
    Ok(())
}

/// The name without the blanks around it. It goes into the provider's dialogue, and onto terminals.
pub(super) fn check_name(name: &str) -> Result<&str> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::new(exit::DATA, "a name must not be empty or contain control characters").into());
    }
    Ok(name.trim())
}

fn warn_of_protocols_without_passwords(profile: &Profile) {
    for (protocol, endpoint) in &profile.endpoints {
        if !endpoint.takes_passwords {
            output::note(format!("note: {} takes no password for {protocol}, app passwords included", profile.name));
        }
    }
}

fn parse_identity(text: &str) -> Result<(Protocol, String), String> {
    let (protocol, name) = text.split_once('=').ok_or("expected PROTOCOL=NAME, such as imap=shared@contoso.com")?;
    Ok((protocol.parse()?, name.to_owned()))
}
