//! `locum rotate stage`: a new app password, beside the one that logins use.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::oauth2::Proof;
use super::{Target, hint};
use crate::broker::client_secret;
use crate::cli::desk;
use crate::cli::exit::{self, Failure};
use crate::cli::secret_input::SecretInput;
use crate::cli::{output, places};
use crate::credential;
use crate::management::rotation::{self, Places, command, named};
use crate::management::{Desk, accounts, check_label};
use crate::model::{CredentialKind, Profile, Slots, StoredCredential};
use crate::rotation::{Rotation, Subject};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    new: New,
}

/// A new app password, and what it is called.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The name that the new one bears in the provider's portal, to find it there.
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    secret: SecretInput,
    #[command(flatten)]
    proof: Proof,
}

/// What was staged.
pub(super) enum Staged {
    /// It is next.
    Next,
    /// It is the current one already.
    Current,
}

pub(super) async fn run(desk: &Desk, arguments: Arguments) -> Result<()> {
    let subject = arguments.target.subject()?;
    match arguments.new.stage(desk, &desk::rotation(desk), &subject).await? {
        Staged::Next => hint::next(&command("verify", &subject, "")),
        Staged::Current => {
            output::note(format!("{}: this is the current one already; nothing is done", subject.name()))
        }
    }
    Ok(())
}

impl New {
    /// Whether a secret was named.
    pub(super) fn is_given(&self) -> bool {
        self.secret.is_given() || self.proof.is_given()
    }

    /// Whether it is of no use before somebody uploads something.
    pub(super) fn is_to_be_uploaded(&self) -> bool {
        self.proof.is_to_be_uploaded()
    }

    /// Stages it, if there is room for it at the provider, and says so.
    pub(super) async fn stage(&self, desk: &Desk, step: &Rotation, subject: &Subject) -> Result<Staged> {
        let failed = |error| hint::failed(error, subject);
        let slots = step.slots(subject).await.map_err(failed)?;
        if subject.kind() == CredentialKind::OAuth2 {
            let label = self.label.as_deref().map(check_label).transpose()?;
            let id = self.proof.stage(desk, step, subject, &self.secret, label).await?;
            let is_current = slots.current.is_some_and(|current| current.id == id);
            return Ok(if is_current { Staged::Current } else { Staged::Next });
        }
        if self.proof.is_given() {
            let message =
                "an app password is a secret and nothing else; the rest is for --kind oauth2, or a domain as @DOMAIN";
            return Err(Failure::new(exit::USAGE, message).into());
        }
        let account = accounts::record(&desk.directory, subject.name()).await?.record;
        let profile = accounts::profile_of(&desk.profiles, &account.upstream)?;
        let credential = self.read(subject, profile)?;
        // Where it is there already, nothing is added.
        if !rotation::is_placed(&slots, &credential) {
            check_room(&slots, subject, profile)?;
        }
        let id = step.stage(subject, &credential).await.map_err(failed)?;
        if id == credential.id {
            self.tell(subject, &credential, &slots);
            return Ok(Staged::Next);
        }
        let slots = step.slots(subject).await.map_err(failed)?;
        match Places::of(subject.kind(), &slots).next.filter(|next| next.stored.id == id) {
            Some(next) => {
                let (name, called) = (subject.name(), places::called(&next.stored));
                output::note(format!("{name}: {called} is this one, {}", hint::how_far(&next)));
                Ok(Staged::Next)
            }
            None => Ok(Staged::Current),
        }
    }

    fn read(&self, subject: &Subject, profile: &Profile) -> Result<StoredCredential> {
        let label = self.label.as_deref().map(check_label).transpose()?;
        let pasted = self.secret.read(&format!("new app password of {}", subject.name()))?;
        let id = client_secret::random_id()?;
        let stored = credential::new_app_password(&pasted, profile.app_password, id, "", Timestamp::now())?;
        let label = match label {
            Some(label) => label.to_owned(),
            None => ask_label(self.is_given())?,
        };
        Ok(StoredCredential { label, ..stored })
    }

    fn tell(&self, subject: &Subject, credential: &StoredCredential, before: &Slots) {
        let name = subject.name();
        let logins = match &before.current {
            Some(current) => format!("logins still use {}", named(&current.label, &current.id)),
            None => "there is none yet that logins could use".to_owned(),
        };
        output::note(format!("{name}: staged {}; {logins}", named(&credential.label, &credential.id)));
        for note in rotation::about_label(credential, before, subject) {
            output::note(format!("note: {note}"));
        }
    }
}

/// What the new one is called in the portal, if there is somebody to ask.
fn ask_label(secret_given: bool) -> Result<String> {
    if secret_given || !io::stdin().is_terminal() {
        return Ok(String::new());
    }
    let asked = dialoguer::Input::<String>::new().with_prompt("its label in the provider's portal").allow_empty(true);
    let label = asked.interact_text().context("cannot read from the terminal")?;
    Ok(check_label(&label)?.to_owned())
}

/// Warns where it gets tight at the provider, and refuses where there is no room.
fn check_room(slots: &Slots, subject: &Subject, profile: &Profile) -> Result<()> {
    let full = |error| Failure::new(exit::CANNOT_CREATE, format!("{}: {error}", subject.name()));
    let said = rotation::check_room(slots, subject, profile).map_err(full)?;
    for (number, text) in said.into_iter().enumerate() {
        output::note(if number == 0 { format!("note: {text}") } else { text });
    }
    Ok(())
}
