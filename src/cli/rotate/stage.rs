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
use crate::management::{Desk, accounts, check_label};
use crate::model::{CredentialKind, Leftover, Profile, Slots, StoredCredential};
use crate::rotation::{Inventory, Room, Rotation, Subject};

/// Labels that are named where there is no room; of more there is the number.
const NAMED_MAX: usize = 10;

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
    let rotation = desk::rotation(desk);
    match arguments.new.stage(desk, &rotation, &subject).await? {
        Staged::Next => hint::next(&hint::command("verify", &subject, "")),
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
    pub(super) async fn stage(&self, desk: &Desk, rotation: &Rotation, subject: &Subject) -> Result<Staged> {
        let failed = |error| hint::failed(error, subject);
        let slots = rotation.slots(subject).await.map_err(failed)?;
        if subject.kind() == CredentialKind::OAuth2 {
            let label = self.label.as_deref().map(check_label).transpose()?;
            let id = self.proof.stage(desk, rotation, subject, &self.secret, label).await?;
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
        if !is_placed(&slots, &credential) {
            check_room(&slots, subject, profile)?;
        }
        let id = rotation.stage(subject, &credential).await.map_err(failed)?;
        if id == credential.id {
            self.tell(subject, &credential, &slots);
            return Ok(Staged::Next);
        }
        let slots = rotation.slots(subject).await.map_err(failed)?;
        match slots.next.filter(|next| next.credential.id == id) {
            Some(next) => {
                let (name, called) = (subject.name(), places::called(&next.credential));
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
            Some(current) => format!("logins still use {}", places::called(current)),
            None => "there is none yet that logins could use".to_owned(),
        };
        output::note(format!("{name}: staged {}; {logins}", places::called(credential)));
        if credential.label.is_empty() {
            let command = hint::command("label", subject, "LABEL");
            output::note(format!(
                "note: it has no label, so nobody will find it in the portal; give it one: {command}"
            ));
            return;
        }
        let placed = before.current.iter().chain(before.previous.as_ref().map(|previous| &previous.credential));
        let mut labels =
            placed.map(|stored| &stored.label).chain(before.leftovers.iter().map(|left: &Leftover| &left.label));
        if labels.any(|label| *label == credential.label) {
            output::note(format!(
                "note: another one is called {:?}, too: in the portal they look alike",
                credential.label
            ));
        }
    }
}

fn is_placed(slots: &Slots, credential: &StoredCredential) -> bool {
    let next = slots.next.as_ref().map(|next| &next.credential);
    slots.current.iter().chain(next).any(|stored| stored.material == credential.material)
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
pub(in crate::cli) fn check_room(slots: &Slots, subject: &Subject, profile: &Profile) -> Result<()> {
    let inventory = Inventory::of(slots, subject.kind(), Some(profile));
    if inventory.room() == Room::Full {
        return Err(Failure::new(exit::CANNOT_CREATE, full(&inventory, subject, profile)).into());
    }
    let inventory = inventory.with_another();
    if let Room::Little { left } = inventory.room() {
        output::note(format!("note: {}: {left} more can be made there", taken(&inventory, profile)));
        tell_to_delete(&inventory, subject).into_iter().for_each(output::note);
    } else if inventory.room() == Room::Full {
        output::note(format!("note: {}: this is the last one", taken(&inventory, profile)));
        tell_to_delete(&inventory, subject).into_iter().for_each(output::note);
    }
    Ok(())
}

fn taken(inventory: &Inventory<'_>, profile: &Profile) -> String {
    let max = inventory.max.unwrap_or_default();
    format!("{} of the {max} app passwords that {} allows are taken", inventory.count, profile.name)
}

fn full(inventory: &Inventory<'_>, subject: &Subject, profile: &Profile) -> String {
    let name = subject.name();
    let mut lines = vec![format!("{name}: {}, so nothing is staged", taken(inventory, profile))];
    lines.extend(tell_to_delete(inventory, subject));
    lines.join("\n")
}

/// What is to be deleted in the portal to make room, and how to say that it was.
fn tell_to_delete(inventory: &Inventory<'_>, subject: &Subject) -> Vec<String> {
    let left = &inventory.to_delete;
    let Some(command) = tick_off(left, subject) else {
        let command = hint::command("count", subject, "N");
        return vec![format!("delete some in the portal, then say how many there are: {command}")];
    };
    let mut lines = vec![format!("delete in the portal, then tick off by `{command}`:")];
    lines.extend(left.iter().take(NAMED_MAX).map(|left| format!("  {}", places::described(left))));
    if left.len() > NAMED_MAX {
        lines.push(format!("  and {} more", left.len() - NAMED_MAX));
    }
    lines
}

/// The command that ticks off these.
fn tick_off(left: &[&Leftover], subject: &Subject) -> Option<String> {
    match left {
        [] => None,
        [left] => Some(hint::deleted(subject, &left.label, &left.id)),
        _ => Some(hint::command("deleted", subject, "--all")),
    }
}
