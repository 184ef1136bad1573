//! `locum account add` and `locum account set`.

use anyhow::Result;

use super::done_but;
use super::many::{self, Many, Whose};
use super::prefer::Prefer;
use crate::cli::exit::{self, Failure};
use crate::cli::rotate::{hint, promote};
use crate::cli::secret_input::SecretInput;
use crate::cli::{kinds, output};
use crate::management::accounts::{self, AccountChanged, AccountChanges, NewAccount, PastedAs};
use crate::management::rotation::{command, described, named, quoted};
use crate::management::{Desk, GivenSecret, check_label};
use crate::model::{CredentialKind, Profile, Protocol};
use crate::rotation::Subject;

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
    /// Reads the app password. What is wrong with its label is said before.
    fn read(&self, account: &str) -> Result<GivenSecret> {
        self.label.as_deref().map(check_label).transpose()?;
        Ok(self.secret.read(&format!("app password of {account}"))?.into())
    }
}

impl Set {
    fn names_any(&self) -> bool {
        self.upstream.is_some() || self.class.is_some() || self.details.names_any() || self.prefer.names_any()
    }

    /// Whether an app password may be replaced: the audit knows of each.
    pub(super) fn may_replace(&self) -> bool {
        !self.many.is_given() && (self.details.secret.is_given() || self.upstream.is_some() || !self.names_any())
    }
}

pub(super) async fn add(desk: &Desk, add: Add) -> Result<()> {
    let Add { name, upstream, oauth2_only, details } = add;
    let profile = accounts::check_new(desk, &name, &upstream).await?;
    let app_password = if oauth2_only { None } else { Some(details.read(name.trim())?) };
    let Details { identity, identity_for, label, secret: _ } = details;
    let identity_for = identity_for.into_iter().collect();
    let new = NewAccount { name, upstream, identity, identity_for, app_password, label, class: None };
    let added = accounts::add(desk, new).await?;
    let name = &added.account.name;
    output::note(format!("{name}: added"));
    if added.domain_has_credential {
        output::note("used from now on:");
        kinds::tell_used(&added.used, &profile.name);
    } else if !oauth2_only {
        warn_of_protocols_without_passwords(profile);
    } else {
        output::note(format!(
            "note: it has no credential yet: give it one with `locum oauth login {name}` or `locum oauth set {name}`, or its \
             domain with `locum oauth add-tenant`"
        ));
    }
    Ok(())
}

pub(super) async fn set(desk: &Desk, set: Set) -> Result<()> {
    let names_any = set.names_any();
    let Set { name, upstream, class, prefer, many, details } = set;
    let prefer = prefer.wanted();
    let name = match many.whose(name) {
        Whose::One(name) => name,
        Whose::Csv(_) | Whose::Domain(_) if details.names_any() || details.secret.is_given() => {
            let message =
                "--csv and --domain change what is preferred, with --prefer and --prefer-for, and nothing else";
            return Err(Failure::new(exit::USAGE, message).into());
        }
        Whose::Csv(file) => return many::of_file(&desk.directory, &file, &prefer).await,
        Whose::Domain(domain) => return many::of_domain(&desk.directory, &domain, &prefer).await,
    };
    let found = accounts::record(&desk.directory, &name).await?;
    let account = &found.record;
    let moves = upstream.as_ref().is_some_and(|upstream| *upstream != account.upstream);
    let profile = accounts::profile_of(&desk.profiles, upstream.as_ref().unwrap_or(&account.upstream))?;
    // A password is for one provider and must not be shown to another. Nothing named: it is the password that changes.
    let takes_secret = details.secret.is_given() || moves || !names_any;
    let app_password = takes_secret.then(|| details.read(&account.name)).transpose()?;
    let subject = Subject::app_password(&account.name);
    let Details { identity, identity_for, label, secret: _ } = details;
    let (identity_for, prefers) = (identity_for.into_iter().collect(), prefer.names_any());
    let changes = AccountChanges { upstream, class, identity, identity_for, app_password, label, prefer };
    let changed =
        accounts::change(desk, found, changes).await.map_err(|error| hint::failed_to_manage(error, &subject))?;
    let name = &changed.account.name;
    match changed.pasted {
        Some(pasted) => {
            output::note(format!("{name}: {}", told(pasted)));
            tell_pasted(&changed, pasted, &subject);
        }
        None if changed.account.has(CredentialKind::AppPassword) => {
            output::note(format!("{name}: changed; the app password stays"));
        }
        None => output::note(format!("{name}: changed")),
    }
    if prefers {
        kinds::tell_used(&changed.used, &profile.name);
    }
    if moves {
        warn_of_protocols_without_passwords(profile);
    }
    if changed.lost_oauth2 {
        output::note("note: its OAuth2 credential was for the other provider and is removed");
    }
    for (kind, left) in &changed.left_behind {
        for left in left {
            output::note(format!("note: to be deleted: its {kind} {}", described(left)));
        }
    }
    done_but(changed.warning)
}

fn told(pasted: PastedAs) -> &'static str {
    match pasted {
        PastedAs::Anew => "changed, the app password with it",
        PastedAs::Same => "this is its app password already; nodes try it again, whatever the provider said before",
        PastedAs::RolledBack => "this is the app password that it had before; it is the current one again",
    }
}

/// What there is to go back to, and how the new one is tried.
fn tell_pasted(changed: &AccountChanged, pasted: PastedAs, subject: &Subject) {
    if let (Some(previous), PastedAs::Anew | PastedAs::RolledBack) = (changed.previous(), pasted) {
        let (stored, until) = (&previous.stored, output::minute(previous.usable_until));
        let back = match previous.rolled_back {
            true => promote::back_to(&stored.id, subject),
            false => command("rollback", subject, ""),
        };
        let called = named(&stored.label, &stored.id);
        output::note(format!("{called} is kept, and may be used until {until} where the new one is refused"));
        output::note(format!("to go back to it: {back}"));
    }
    hint::next(&format!("locum probe {}", quoted(subject.name())));
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
