//! `locum account add` and `locum account set`.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::Timestamp;

use super::many::{self, Many, Whose};
use super::prefer::{self, Prefer};
use super::{check_name, find, profile};
use crate::broker::{Directory, Versioned, client_secret};
use crate::cli::exit::{self, Failure};
use crate::cli::kinds;
use crate::cli::oauth::{self, kept};
use crate::cli::output;
use crate::cli::secret_input::SecretInput;
use crate::config::Config;
use crate::credential;
use crate::model::{Account, CredentialKind, Identity, Preference, Profile, Protocol};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Add {
    /// The account, usually its address.
    name: String,
    /// The upstream that it lives at, as [upstream.<name>] in the configuration.
    #[arg(long)]
    upstream: String,
    /// Give it no app password: it uses OAuth2, its domain's or what `locum oauth` gives it.
    #[arg(long, conflicts_with_all = ["secret_file", "secret_stdin", "label"])]
    oauth2_only: bool,
    #[command(flatten)]
    details: Details,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// The account.
    #[arg(required_unless_present_any = ["csv", "domain"])]
    name: Option<String>,
    /// The upstream that it lives at from now on.
    #[arg(long, conflicts_with_all = ["csv", "domain"])]
    upstream: Option<String>,
    /// The class that it is of, as [rotation.class.<name>] in the configuration; empty: of none.
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["csv", "domain"])]
    class: Option<String>,
    #[command(flatten)]
    prefer: Prefer,
    #[command(flatten)]
    many: Many,
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

pub(super) async fn add(config: &Config, directory: &Directory, add: Add) -> Result<()> {
    let profile = profile(config, &add.upstream)?;
    let name = check_name(&add.name)?.to_owned();
    if directory.account(&name).await?.is_some() {
        let message = format!("there is an account {name} already; change it with `locum account set`");
        return Err(Failure::new(exit::CANNOT_CREATE, message).into());
    }
    let mut account = empty(name, add.upstream);
    if add.oauth2_only {
        oauth::authority(profile)?;
    } else {
        store_password(&mut account, profile, &add.details)?;
    }
    set_identity(&mut account, &add.details)?;
    directory.put_account(&account, None).await?;
    output::note(format!("{}: added", account.name));
    let tenant = prefer::has_tenant(directory, &account).await?;
    if tenant {
        output::note("used from now on:");
        kinds::tell_used(&account, tenant, profile);
    } else if !add.oauth2_only {
        warn_of_protocols_without_passwords(profile);
    } else {
        output::note(format!(
            "note: it has no credential yet: give it one with `locum oauth login {0}` or `locum oauth set {0}`, or its \
             domain with `locum oauth add-tenant`",
            account.name
        ));
    }
    Ok(())
}

/// An account that has nothing yet.
pub(in crate::cli) fn empty(name: String, upstream: String) -> Account {
    Account {
        name,
        upstream,
        identity: Identity::default(),
        credentials: BTreeMap::new(),
        preference: Preference::default(),
        class: None,
    }
}

pub(super) async fn set(config: &Config, directory: &Directory, set: Set) -> Result<()> {
    let Set { name, upstream, class, prefer, many, details } = set;
    let name = match many.whose(name) {
        Whose::One(name) => name,
        Whose::Csv(_) | Whose::Domain(_) if details.names_any() || details.secret.is_given() => {
            let message =
                "--csv and --domain change what is preferred, with --prefer and --prefer-for, and nothing else";
            return Err(Failure::new(exit::USAGE, message).into());
        }
        Whose::Csv(file) => return many::of_file(directory, &file, &prefer).await,
        Whose::Domain(domain) => return many::of_domain(directory, &domain, &prefer).await,
    };
    let Versioned { record: mut account, version, .. } = find(directory, &name).await?;
    let moves = upstream.as_ref().is_some_and(|upstream| *upstream != account.upstream);
    // A password is for one provider and must not be shown to another. Nothing named: it is the password that changes.
    let names_any = upstream.is_some() || class.is_some() || details.names_any() || prefer.names_any();
    let takes_secret = details.secret.is_given() || moves || !names_any;
    let mut left_behind = None;
    if let Some(upstream) = upstream.filter(|_| moves) {
        account.upstream = upstream;
        account.identity = Identity::default(); // those were its names at the other provider
        account.preference = Preference::default();
        // An application's secret must not be shown to another authority either.
        left_behind = account.credentials.remove(&CredentialKind::OAuth2);
    }
    let profile = profile(config, &account.upstream)?;
    if takes_secret {
        store_password(&mut account, profile, &details)?;
    } else if let Some(label) = &details.label {
        relabel(&mut account, label)?;
    }
    set_identity(&mut account, &details)?;
    if let Some(class) = class {
        account.class = if class.is_empty() { None } else { Some(known_class(config, class)?) };
    }
    let tenant = prefer::has_tenant(directory, &account).await?;
    if prefer.names_any() {
        prefer.check(&account, tenant).map_err(|why| Failure::new(exit::DATA, why))?;
        prefer.apply(&mut account.preference);
    }
    directory.put_account(&account, Some(version)).await?;
    let what = match (takes_secret, kinds::has(&account, false, CredentialKind::AppPassword)) {
        (true, _) => "changed, the app password with it",
        (false, true) => "changed; the app password stays",
        (false, false) => "changed",
    };
    output::note(format!("{}: {what}", account.name));
    if prefer.names_any() {
        kinds::tell_used(&account, tenant, profile);
    }
    if moves {
        warn_of_protocols_without_passwords(profile);
    }
    if left_behind.is_some() {
        output::note("note: its OAuth2 credential was for the other provider and is removed");
        kept::forget_all(directory, left_behind.as_ref()).await?;
    }
    Ok(())
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

/// A class that the configuration does not have would mean nothing.
fn known_class(config: &Config, class: String) -> Result<String> {
    let classes = &config.rotation.max_ages.classes;
    if classes.contains_key(&class) {
        return Ok(class);
    }
    let known: Vec<&str> = classes.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    let message = format!("the configuration has no [rotation.class.{class}]; {known}");
    Err(Failure::new(exit::NOT_FOUND, message).into())
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
