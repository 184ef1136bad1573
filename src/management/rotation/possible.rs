//! Which steps can be taken now, and why others cannot: the steps of the machine themselves, tried on a copy.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{Material, NextState, Secret, Slots, StoredCredential};
use crate::rotation::machine::{self, Actor, Done, Promotion, Staging, StepError};
use crate::rotation::{Inventory, Options, Room};

/// Which steps can be taken now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Possible {
    /// Put a new one beside the current one.
    pub stage: Step,
    /// Log in with what is staged.
    pub verify: Step,
    /// Let logins use what is staged.
    pub promote: Step,
    /// Let logins use the one before again.
    pub roll_back: Step,
    /// Give up the one before, now that its grace is over.
    pub retire: Step,
    /// Give up the one before, whether its grace is over or not.
    pub retire_now: Step,
    /// Give up what is staged.
    pub discard: Step,
}

/// Whether a step can be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// It can.
    pub possible: bool,
    /// If it cannot: why, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

impl From<Result<Done, StepError>> for Step {
    fn from(tried: Result<Done, StepError>) -> Self {
        Self { possible: tried.is_ok(), why_not: tried.err().map(|error| error.to_string()) }
    }
}

/// Tries each step on a copy.
pub(super) fn possible(
    slots: &Slots,
    inventory: &Inventory<'_>,
    options: &Options,
    author: &str,
    now: Timestamp,
) -> Possible {
    let actor = Actor { by: author, at: now };
    let tried = |step: &dyn Fn(&mut Slots) -> Result<Done, StepError>| Step::from(step(&mut slots.clone()));
    let next = slots.next.as_ref().map_or("", |next| next.credential.id.as_str());
    let previous = slots.previous.as_ref().map_or("", |previous| previous.credential.id.as_str());
    let promotion = Promotion { id: next, grace: options.grace, verified_within: Some(options.verified_within) };
    let retired = |slots: &mut Slots, now| match slots.previous {
        None => Err(StepError::NoPrevious),
        Some(_) => machine::retire(slots, previous, now, actor),
    };
    Possible {
        stage: tried(&|slots| match (inventory.room(), inventory.max) {
            (Room::Full, Some(max)) => Err(StepError::Full { count: inventory.count, max }),
            _ => machine::stage(slots, any_other(now), actor),
        }),
        verify: Step::from(can_be_verified(slots, now)),
        promote: tried(&|slots| machine::promote(slots, promotion, actor)),
        roll_back: tried(&|slots| machine::roll_back(slots, previous, "", options.grace, actor)),
        retire: tried(&|slots| retired(slots, false)),
        retire_now: tried(&|slots| retired(slots, true)),
        discard: tried(&|slots| match slots.next {
            None => Err(StepError::NothingStaged),
            Some(_) => machine::discard(slots, next, None, actor),
        }),
    }
}

/// What `Rotation::verify` asks before it logs in.
fn can_be_verified(slots: &Slots, now: Timestamp) -> Result<Done, StepError> {
    let next = slots.next.as_ref().ok_or(StepError::NothingStaged)?;
    match &next.state {
        NextState::Failed { cause, .. } => Err(StepError::Failed { cause: cause.clone() }),
        NextState::Applying { until } if machine::is_at_work(*until, now) => Err(StepError::Applying { until: *until }),
        NextState::Staged if next.replaces => Err(StepError::NotSet),
        NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } => Ok(Done::Now),
    }
}

/// One that is in no place: only whether there is a place for it is asked.
fn any_other(now: Timestamp) -> Staging {
    let credential = StoredCredential {
        id: "another".to_owned(),
        label: String::new(),
        created: now,
        verified: None,
        retries: 0,
        material: Material::of("another", Secret::new("another")),
    };
    Staging { credential, op: "another".to_owned(), replaces: false }
}
