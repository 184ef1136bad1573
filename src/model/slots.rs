//! The places that a credential of one kind can have in a record, and what is remembered of those that had one. How they
//! change is the business of `rotation/`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::StoredCredential;

/// The places of the credentials of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slots {
    /// The one that logins use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<StoredCredential>,
    /// The one that is to become current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// The one that was current before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Those that are in no place any more and may still exist at the provider: to be deleted there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<Leftover>,
    /// How many more exist at the provider that are none of ours, as an operator counted them there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub elsewhere: u32,
    /// What was done to these places, oldest first. Ids alone, and only the latest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
pub(super) fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Slots {
    /// This one alone.
    pub fn of(current: StoredCredential) -> Self {
        Self { current: Some(current), ..Self::default() }
    }

    /// Those that a login may use at that time, best first: the current one; the next one, if the provider may have it
    /// already; the previous one, within its grace.
    pub fn usable(&self, now: Timestamp) -> impl Iterator<Item = (Slot, &StoredCredential)> {
        let current = self.current.as_ref().map(|it| (Slot::Current, it));
        let next = self.next.as_ref().filter(|next| next.may_be_in_force()).map(|it| (Slot::Next, &it.credential));
        let previous = self.previous.as_ref().filter(|it| it.usable && now < it.retire_at);
        current.into_iter().chain(next).chain(previous.map(|it| (Slot::Previous, &it.credential)))
    }

    /// What is in a place.
    pub fn in_slot(&self, slot: Slot) -> Option<&StoredCredential> {
        match slot {
            Slot::Current => self.current.as_ref(),
            Slot::Next => self.next.as_ref().map(|next| &next.credential),
            Slot::Previous => self.previous.as_ref().map(|previous| &previous.credential),
        }
    }

    /// How many of ours exist at the provider, as far as is known. Where it has one password only, one that is to take the
    /// place of another does not add to them, and one whose place was taken is there no more.
    pub fn known_at_provider(&self) -> usize {
        let next = self.next.as_ref().filter(|next| !next.replaces);
        let previous = self.previous.as_ref().filter(|previous| previous.usable);
        let placed = [self.current.is_some(), next.is_some(), previous.is_some()].into_iter().filter(|it| *it).count();
        placed + self.to_delete().count()
    }

    /// How many exist at the provider, as far as is known.
    pub fn at_provider(&self) -> usize {
        self.known_at_provider() + self.elsewhere as usize
    }

    /// What is to be deleted at the provider that the account lives at now.
    pub fn to_delete(&self) -> impl Iterator<Item = &Leftover> {
        self.leftovers.iter().filter(|left| left.upstream.is_none())
    }
}

/// A place for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// The one that logins use.
    Current,
    /// The one that is to become current.
    Next,
    /// The one that was current before.
    Previous,
}

impl Slot {
    /// All places.
    pub const ALL: [Self; 3] = [Self::Current, Self::Next, Self::Previous];

    /// The name used in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }
}

impl FromStr for Slot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|slot| slot.name() == text);
        known.ok_or_else(|| "expected \"current\", \"next\" or \"previous\"".to_owned())
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A credential that is to become current.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Next {
    /// The credential.
    pub credential: StoredCredential,
    /// The operation that brought it: whoever repeats that finds it done.
    pub op: String,
    /// Who staged it.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// How far it has come.
    pub state: NextState,
    /// Whether the provider has one password only, so that this one ends the current one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// Its last definite refusal by the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

impl Next {
    /// Whether the provider may have it in force already.
    pub fn may_be_in_force(&self) -> bool {
        match self.state {
            NextState::Applying { .. } | NextState::Applied { .. } => true,
            NextState::Staged | NextState::Failed { .. } => false,
        }
    }
}

/// How far a next credential has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum NextState {
    /// In the store; whether the provider takes it is not known.
    Staged,
    /// A command is setting it at the provider. Nobody else may until then.
    Applying {
        /// When whoever does it has given up for certain.
        until: Timestamp,
    },
    /// The provider has it.
    Applied {
        /// When it was last logged in with; `None` if a command said that it is there and nobody has tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verified: Option<Timestamp>,
    },
    /// The provider refuses it.
    Failed {
        /// Since when that is known.
        at: Timestamp,
        /// In words for the operator.
        cause: String,
    },
}

/// Definite refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// How many.
    pub times: u32,
    /// The last one.
    pub at: Timestamp,
    /// In words for the operator.
    pub cause: String,
}

/// A credential that was current before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Previous {
    /// The credential.
    pub credential: StoredCredential,
    /// The operation that took its place.
    pub op: String,
    /// Since when it is not current any more.
    pub since: Timestamp,
    /// Until when logins may use it if the current one is refused.
    pub retire_at: Timestamp,
    /// Whether the provider may still take it: not if the current one has replaced it there.
    #[serde(default = "yes")]
    pub usable: bool,
}

/// How the operations of a command begin that makes or sets credentials: by it one that is under way is known.
pub const COMMAND_OP: &str = "hook-";

impl Previous {
    /// Whether that operation brought the credential of that id.
    fn is_by(&self, id: &str) -> bool {
        self.op == id || self.op.strip_prefix(COMMAND_OP) == Some(id)
    }

    /// Whether it was given up for the one before it: going back once more would be going forward. Both know the operation
    /// that parted them, and it is its own.
    pub fn was_rolled_back(&self) -> bool {
        self.is_by(&self.credential.id)
    }

    /// Whether a command made or set the one that took its place.
    pub fn gave_way_to_a_command_s(&self, current: &str) -> bool {
        self.op.starts_with(COMMAND_OP) && self.is_by(current)
    }
}

fn yes() -> bool {
    true
}

/// A credential that is used no more and may still exist at the provider. Its secret is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leftover {
    /// The id that it had here; of one that was never seen, the operation's.
    pub id: String,
    /// The name that it bears in the provider's portal.
    #[serde(default)]
    pub label: String,
    /// When it was put down here.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// How it came to be one.
    pub why: LeftoverReason,
    /// Until when a command may still be at work on it; nobody else has one made meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The upstream profile that it is at, where the account has moved to another one since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
}

/// How a credential came to be a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LeftoverReason {
    /// Its grace was over.
    Retired,
    /// It was staged and never used.
    Discarded,
    /// Its account moved to another provider.
    Moved,
    /// A command was asked to make one, and its answer was never put down: it may exist or not.
    Asked,
}

/// Something that was done to the places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What.
    pub step: String,
    /// The credential's id.
    pub id: String,
    /// Why, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
