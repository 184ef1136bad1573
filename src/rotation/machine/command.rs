//! The steps of a rotation whose credential a command makes, or sets in the place of the only one there is. As pure as the
//! others. Nobody else may be at the same work while the command may be: that is what the times are for.

use jiff::Timestamp;

use super::{Actor, Done, StepError, free_for, is_at_work, is_over, next, remember};
use crate::model::{Leftover, LeftoverReason, NextState, Slots};

/// Puts down that a command is asked for a credential, and will have given up by `until`: if its answer is never put down,
/// somebody has to look for that label. Each run is an operation with a label of its own, so that nothing depends on
/// whether the command knows what it made before.
pub fn ask(slots: &mut Slots, op: &str, label: &str, until: Timestamp, actor: Actor<'_>) -> Result<Done, StepError> {
    free_for(slots, op)?;
    is_over(slots, actor)?;
    let is_asked = |left: &&Leftover| left.why == LeftoverReason::Asked;
    for Leftover { by, until, .. } in slots.leftovers.iter().filter(is_asked) {
        if let Some(until) = until.filter(|until| is_at_work(*until, actor.at)) {
            return Err(StepError::Asked { by: by.clone(), until });
        }
    }
    let (id, label, by) = (op.to_owned(), label.to_owned(), actor.by.to_owned());
    let (why, until) = (LeftoverReason::Asked, Some(until));
    slots.leftovers.push(Leftover { id, label, since: actor.at, by, why, until, upstream: None });
    remember(slots, actor, "asked", op, None);
    Ok(Done::Now)
}

/// What is known of a credential that a command was asked for, and that is in no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstaged<'a> {
    /// The command said that it made none.
    None,
    /// It may have made one.
    Perhaps,
    /// It made one, which bears that label.
    Called(&'a str),
}

/// The command that was asked until `until` gives no credential that could be staged: others need not wait, and what it may
/// have made is to be looked for.
pub fn answered_not(
    slots: &mut Slots,
    op: &str,
    until: Timestamp,
    made: Unstaged<'_>,
    actor: Actor<'_>,
) -> Result<Done, StepError> {
    let Some(index) = slots.leftovers.iter().position(|left| left.id == op && left.until == Some(until)) else {
        return Ok(Done::Before);
    };
    let step = match made {
        Unstaged::None => {
            slots.leftovers.remove(index);
            "not made"
        }
        Unstaged::Perhaps => {
            slots.leftovers[index].until = None;
            "not answered"
        }
        Unstaged::Called(label) => {
            slots.leftovers[index].until = None;
            label.clone_into(&mut slots.leftovers[index].label);
            "not staged"
        }
    };
    remember(slots, actor, step, op, None);
    Ok(Done::Now)
}

/// Takes the right to set the next credential at the provider, until `until`. Whoever took it before had as long.
pub fn apply(slots: &mut Slots, id: &str, until: Timestamp, actor: Actor<'_>) -> Result<Done, StepError> {
    // The one that is set could not be promoted: logins would be refused with the current one all the time.
    is_over(slots, actor)?;
    let next = next(slots, id)?;
    match next.state {
        NextState::Applied { .. } if next.refused.is_none() => return Ok(Done::Before),
        NextState::Applying { until } if is_at_work(until, actor.at) => return Err(StepError::Applying { until }),
        NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } => {}
        NextState::Failed { ref cause, .. } => return Err(StepError::Failed { cause: cause.clone() }),
    }
    next.state = NextState::Applying { until };
    next.refused = None;
    remember(slots, actor, "applying", id, None);
    Ok(Done::Now)
}

/// The command has set it, whoever had the right to until `until`. Somebody who took it since may be setting it still.
pub fn applied(slots: &mut Slots, id: &str, until: Timestamp, actor: Actor<'_>) -> Result<Done, StepError> {
    let next = next(slots, id)?;
    match next.state {
        NextState::Applied { .. } => return Ok(Done::Before),
        NextState::Failed { ref cause, .. } => return Err(StepError::Failed { cause: cause.clone() }),
        NextState::Staged => return Err(StepError::NotSet),
        NextState::Applying { until: theirs } if theirs != until => return Err(StepError::Applying { until: theirs }),
        NextState::Applying { .. } => {}
    }
    next.state = NextState::Applied { verified: None };
    remember(slots, actor, "applied", id, None);
    Ok(Done::Now)
}

/// The command that had the right until `until` gave up: others need not wait. `set_none`: it has said itself that nothing
/// was set, and none was at work on it before; else the provider may have it all the same.
pub fn not_applied(
    slots: &mut Slots,
    id: &str,
    until: Timestamp,
    set_none: bool,
    actor: Actor<'_>,
) -> Result<Done, StepError> {
    let next = next(slots, id)?;
    if next.state != (NextState::Applying { until }) {
        return Ok(Done::Before);
    }
    next.state = if set_none { NextState::Staged } else { NextState::Applying { until: actor.at } };
    remember(slots, actor, if set_none { "not set" } else { "not answered" }, id, None);
    Ok(Done::Now)
}
