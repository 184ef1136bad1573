//! `locum account add` and `locum account set`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;

use super::many::{self, Many, Whose};
use super::prefer::{self, Prefer};
use super::{check_label, check_name, find, profile};
use crate::audit::{Audit, Event};
use crate::broker::{Directory, Versioned, client_secret};
use crate::cli::exit::{self, Failure};
use crate::cli::oauth::{self, kept};
use crate::cli::rotate::{hint, promote};
use crate::cli::secret_input::SecretInput;
use crate::cli::{author, kinds, output, places};
use crate::config::Config;
use crate::credential;
use crate::credential::oauth2::kept_in;
use crate::model::{Account, CredentialKind, Identity, Preference, Profile, Protocol, Slots, StoredCredential};
use crate::rotation::Subject;
use crate::rotation::machine::Actor;
use crate::rotation::upkeep::{self, Pasted};

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
    let by = author();
    let actor = Actor { by: &by, at: Timestamp::now() };
    if let Some(upstream) = upstream.filter(|_| moves) {
        left_behind = Some(move_away(&mut account, upstream, actor));
    }
    let profile = profile(config, &account.upstream)?;
    let mut pasted = None;
    if takes_secret {
        let audit = Audit::open(&config.audit)?;
        pasted = Some((paste_password(&mut account, profile, &details, config.rotation.grace, actor)?, audit));
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
    match &pasted {
        Some((pasted, audit)) => {
            audit.record_step(&replaced(&account, &by));
            output::note(format!("{}: {}", account.name, described(*pasted)));
            tell_pasted(&account, *pasted);
        }
        None if kinds::has(&account, false, CredentialKind::AppPassword) => {
            output::note(format!("{}: changed; the app password stays", account.name));
        }
        None => output::note(format!("{}: changed", account.name)),
    }
    if prefer.names_any() {
        kinds::tell_used(&account, tenant, profile);
    }
    if moves {
        warn_of_protocols_without_passwords(profile);
    }
    match left_behind {
        Some(left) => left.tell(directory, &account).await,
        None => Ok(()),
    }
}

/// What an account had at the provider that it left.
struct LeftBehind {
    from: String,
    /// Whether it had OAuth2 there.
    had_oauth2: bool,
    /// The ids that its refresh tokens are kept under.
    tokens: BTreeSet<String>,
}

/// The account lives at that upstream from now on. No secret of the one before must be shown there, and none is forgotten:
/// what is to be deleted at the other one stays in the record.
fn move_away(account: &mut Account, upstream: String, actor: Actor<'_>) -> LeftBehind {
    let from = std::mem::replace(&mut account.upstream, upstream);
    account.identity = Identity::default(); // those were its names at the other provider
    account.preference = Preference::default();
    let oauth2 = account.credentials.get(&CredentialKind::OAuth2);
    let (mut had_oauth2, tokens) = (false, oauth2.map(kept_in).unwrap_or_default());
    for (kind, slots) in &mut account.credentials {
        let left = upkeep::move_away(slots, &from, &account.upstream, actor);
        had_oauth2 |= *kind == CredentialKind::OAuth2 && !left.is_empty();
    }
    LeftBehind { from, had_oauth2, tokens }
}

impl LeftBehind {
    async fn tell(&self, directory: &Directory, account: &Account) -> Result<()> {
        if self.had_oauth2 {
            output::note("note: its OAuth2 credential was for the other provider and is removed");
        }
        for (kind, slots) in &account.credentials {
            for left in slots.leftovers.iter().filter(|left| left.upstream.as_ref() == Some(&self.from)) {
                output::note(format!("note: to be deleted: its {kind} {}", places::described(left)));
            }
        }
        kept::forget(directory, &self.tokens, &BTreeSet::new()).await
    }
}

/// The audit event for an app password that was pasted.
fn replaced(account: &Account, by: &str) -> Event {
    let kind = CredentialKind::AppPassword;
    let current = account.credentials.get(&kind).and_then(|slots| slots.current.as_ref());
    Event::Rotation {
        step: "replaced",
        outcome: "done",
        reason: None,
        actor: by.to_owned(),
        subject: account.name.clone(),
        kind: kind.name(),
        credential: current.map(|current| current.id.clone()),
    }
}

fn described(pasted: Pasted) -> &'static str {
    match pasted {
        Pasted::Anew => "changed, the app password with it",
        Pasted::Same => "this is its app password already; nodes try it again, whatever the provider said before",
        Pasted::RolledBack => "this is the app password that it had before; it is the current one again",
    }
}

/// What there is to go back to, and how the new one is tried.
fn tell_pasted(account: &Account, pasted: Pasted) {
    let subject = Subject::app_password(&account.name);
    let Some(slots) = account.credentials.get(&CredentialKind::AppPassword) else { return };
    if let (Some(previous), Pasted::Anew | Pasted::RolledBack) = (&slots.previous, pasted) {
        let (called, until) = (places::called(&previous.credential), output::minute(previous.retire_at));
        let back = match previous.was_rolled_back() {
            true => promote::back_to(&previous.credential, &subject),
            false => hint::command("rollback", &subject, ""),
        };
        output::note(format!("{called} is kept, and may be used until {until} where the new one is refused"));
        output::note(format!("to go back to it: {back}"));
    }
    hint::next(&format!("locum probe {}", hint::quoted(&account.name)));
}

fn store_password(account: &mut Account, profile: &Profile, details: &Details) -> Result<()> {
    let stored = read_password(account, profile, details)?;
    account.credentials.insert(CredentialKind::AppPassword, Slots::of(stored));
    Ok(())
}

fn read_password(account: &Account, profile: &Profile, details: &Details) -> Result<StoredCredential> {
    let label = details.label.as_deref().map(check_label).transpose()?.unwrap_or_default();
    let pasted = details.secret.read(&format!("app password of {}", account.name))?;
    let id = client_secret::random_id()?;
    Ok(credential::new_app_password(&pasted, profile.app_password, id, label, Timestamp::now())?)
}

/// Puts a new password in the place of the current one, which stays as the previous one: a wrong paste is survived. What
/// somebody staged is not pasted over. Whoever types this at night has one account to mend and may not know of the other
/// one's work; giving that up is one more command, and a secret that is lost cannot be had again.
fn paste_password(
    account: &mut Account,
    profile: &Profile,
    details: &Details,
    grace: Duration,
    actor: Actor<'_>,
) -> Result<Pasted> {
    let stored = read_password(account, profile, details)?;
    let slots = account.credentials.entry(CredentialKind::AppPassword).or_default();
    let subject = Subject::app_password(&account.name);
    upkeep::paste(slots, stored, grace, actor).map_err(|error| hint::failed(error.into(), &subject))
}

/// The secret stays; only what it is called in the portal was put down wrongly, or not at all.
fn relabel(account: &mut Account, label: &str) -> Result<()> {
    let current = account.credentials.get_mut(&CredentialKind::AppPassword).and_then(|slots| slots.current.as_mut());
    let Some(current) = current else {
        let message = format!("{} has no app password that could bear a label; give it one, too", account.name);
        return Err(Failure::new(exit::DATA, message).into());
    };
    check_label(label)?.clone_into(&mut current.label);
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
