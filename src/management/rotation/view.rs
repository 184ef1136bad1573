//! What is shown of the places of a credential: never a secret.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::hints::next_command;
use super::possible::{Possible, possible};
use super::read::Held;
use crate::management::Desk;
use crate::model::{CredentialKind, HistoryEntry, Leftover, NextState, Refused, Slots, StoredCredential};
use crate::rotation::{Inventory, Subject, machine};

/// How far the rotation of one credential is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RotationView {
    /// The account, or `@` and a domain.
    pub name: String,
    /// The upstream profile.
    pub upstream: String,
    /// In a word or two; empty if there is nothing to be done.
    pub state: String,
    /// What is in the places.
    #[serde(flatten)]
    pub places: Places,
    /// How many exist at the provider, as far as is known.
    pub at_provider: usize,
    /// How many it allows, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_provider_max: Option<u32>,
    /// How many of them are none of ours.
    pub elsewhere: u32,
    /// What was done, oldest first.
    pub history: Vec<HistoryEntry>,
    /// What to type next on the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_command: Option<String>,
    /// From when on that is of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_command_from: Option<Timestamp>,
    /// Which steps can be taken now, and why others cannot.
    pub possible: Possible,
}

impl RotationView {
    /// Of what was read.
    pub fn of(desk: &Desk, held: &Held, now: Timestamp) -> Self {
        let Held { subject, upstream, slots } = held;
        let profile = desk.profiles.get(upstream).map(|profile| &**profile);
        let inventory = Inventory::of(slots, subject.kind(), profile);
        let next = next_command(slots, subject, &desk.options, now);
        let (next_command, next_command_from) = next.map_or((None, None), |(command, from)| (Some(command), from));
        Self {
            name: typed(subject),
            upstream: upstream.clone(),
            state: places_state(slots, now),
            places: Places::of(subject.kind(), slots),
            at_provider: inventory.count,
            at_provider_max: inventory.max,
            elsewhere: inventory.elsewhere,
            history: slots.history.clone(),
            next_command,
            next_command_from,
            possible: possible(slots, &inventory, &desk.options, &desk.author, now),
        }
    }
}

/// The places of the credentials of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Places {
    /// The kind.
    pub kind: CredentialKind,
    /// The one that logins use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<StoredView>,
    /// The one that is to become current.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextView>,
    /// The one that was current before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousView>,
    /// What is in no place any more and is to be deleted in the provider's portal.
    pub to_delete: Vec<Leftover>,
}

/// A credential in a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StoredView {
    /// Its id.
    pub id: String,
    /// What it is called in the provider's portal.
    pub label: String,
    /// When it was put here.
    pub created: Timestamp,
    /// When somebody last logged in with it before it became current.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Timestamp>,
}

/// The one that is to become current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NextView {
    /// Which.
    #[serde(flatten)]
    pub stored: StoredView,
    /// `staged`, `applying`, `applied`, `verified` or `failed`.
    pub state: String,
    /// Who staged it.
    pub staged_by: String,
    /// When.
    pub staged: Timestamp,
    /// Since when it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Timestamp>,
    /// Until when a command may be setting it at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applying_until: Option<Timestamp>,
    /// Whether the provider has one only, so that this one ends the current one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// Its last definite refusal by the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// The one that was current before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviousView {
    /// Which.
    #[serde(flatten)]
    pub stored: StoredView,
    /// Since when it is not current any more.
    pub replaced: Timestamp,
    /// Until when logins may use it where the current one is refused.
    pub usable_until: Timestamp,
    /// Whether the provider may still take it.
    pub usable: bool,
    /// Whether it was given up for the one that is current: going back to it would be going forward.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
}

impl StoredView {
    /// Of a stored one.
    pub fn of(stored: &StoredCredential) -> Self {
        let StoredCredential { id, label, created, verified, .. } = stored;
        Self { id: id.clone(), label: label.clone(), created: *created, verified: *verified }
    }
}

impl Places {
    /// Of the record's own.
    pub fn of(kind: CredentialKind, slots: &Slots) -> Self {
        let next = slots.next.as_ref().map(|next| NextView {
            stored: StoredView::of(&next.credential),
            state: machine::state_name(&next.state).to_owned(),
            staged_by: next.by.clone(),
            staged: next.since,
            failed: if let NextState::Failed { at, .. } = next.state { Some(at) } else { None },
            applying_until: if let NextState::Applying { until } = next.state { Some(until) } else { None },
            replaces: next.replaces,
            refused: next.refused.clone(),
        });
        let previous = slots.previous.as_ref().map(|previous| PreviousView {
            stored: StoredView::of(&previous.credential),
            replaced: previous.since,
            usable_until: previous.retire_at,
            usable: previous.usable,
            rolled_back: previous.was_rolled_back(),
        });
        let current = slots.current.as_ref().map(StoredView::of);
        Self { kind, current, next, previous, to_delete: slots.leftovers.clone() }
    }

    /// Whether there is anything besides the current one.
    pub fn say_more(&self) -> bool {
        self.next.is_some() || self.previous.is_some() || !self.to_delete.is_empty()
    }
}

/// How far a rotation is, in a word or two; empty if there is nothing to be done.
pub fn places_state(slots: &Slots, now: Timestamp) -> String {
    match (&slots.next, &slots.previous) {
        (Some(next), _) => machine::state_name(&next.state).to_owned(),
        (None, Some(previous)) if now < previous.retire_at => "overlap".to_owned(),
        (None, Some(_)) => "to retire".to_owned(),
        (None, None) if slots.leftovers.is_empty() => String::new(),
        (None, None) => format!("{} to delete", slots.leftovers.len()),
    }
}

/// A subject as it is typed: the account, or `@` and a domain.
pub fn typed(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, .. } => name.clone(),
        Subject::Tenant { domain } => format!("@{domain}"),
    }
}
