//! The steps of a rotation, on one [`Slots`]. No I/O and no clock: time and names are arguments, so that every order of
//! steps can be tried. Whoever writes the document by compare-and-set after each step has a rotation that no crash breaks
//! (`tests/rotation/model.rs` visits every state).

mod command;
mod error;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use crate::credential;
use crate::model::{
    HistoryEntry, Leftover, LeftoverReason, Next, NextState, Previous, Refused, Slot, Slots, StoredCredential,
};

pub use command::{Unstaged, answered_not, applied, apply, ask, not_applied};
pub use error::StepError;

/// Definite refusals of a next credential after which it has failed.
pub const REFUSALS_MAX: u32 = 2;

/// The most steps that a record remembers.
const HISTORY_MAX: usize = 20;

/// The most characters of why a step was taken: a record is read at every login.
const REASON_CHARS_MAX: usize = 200;

/// No command has so long. A claim that lasts longer was made by a clock that was wrong, and must not hold up everybody until
/// the year that it showed.
const CLAIM_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Who takes a step, and when.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// `user@host`, or `locum` for a node.
    pub by: &'a str,
    /// Now.
    pub at: Timestamp,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The document is another one now.
    Now,
    /// It was taken before: nothing is to be written.
    Before,
}

/// What is staged.
#[derive(Debug, Clone)]
pub struct Staging {
    /// The credential.
    pub credential: StoredCredential,
    /// The operation: whoever repeats it finds it done.
    pub op: String,
    /// Whether the provider has one password only, so that this one ends the current one.
    pub replaces: bool,
}

/// How a promotion is made.
#[derive(Debug, Clone, Copy)]
pub struct Promotion<'a> {
    /// The id of the credential that is meant.
    pub id: &'a str,
    /// How long the one before may still be used.
    pub grace: Duration,
    /// How long ago it may have been verified; `None`: it need not have been.
    pub verified_within: Option<Duration>,
}

/// Puts a credential in the next place.
pub fn stage(slots: &mut Slots, staging: Staging, actor: Actor<'_>) -> Result<Done, StepError> {
    let Staging { credential, op, replaces } = staging;
    if slots.next.as_ref().is_some_and(|next| next.op == op) || is_done(slots, &op) {
        return Ok(Done::Before);
    }
    for slot in Slot::ALL {
        // One that the provider has ended may become the next again.
        let is_over = slot == Slot::Previous && slots.previous.as_ref().is_some_and(|previous| !previous.usable);
        if !is_over && slots.in_slot(slot).is_some_and(|stored| stored.material == credential.material) {
            return Err(StepError::Same(slot));
        }
    }
    free_for(slots, &op)?;
    slots.leftovers.retain(|left| left.id != op); // the command has answered
    let id = credential.id.clone();
    let (by, since, state) = (actor.by.to_owned(), actor.at, NextState::Staged);
    slots.next = Some(Next { credential, op, by, since, state, replaces, refused: None });
    remember(slots, actor, "staged", &id, None);
    Ok(Done::Now)
}

/// Somebody logged in with it.
pub fn verified(slots: &mut Slots, id: &str, actor: Actor<'_>) -> Result<Done, StepError> {
    if slots.current.as_ref().is_some_and(|current| current.id == id) {
        return Ok(Done::Before);
    }
    let next = next(slots, id)?;
    // Whoever is setting it may still be at it: until then nothing else may be set in its place.
    if let NextState::Applying { until } = next.state
        && is_at_work(until, actor.at)
    {
        return Err(StepError::Applying { until });
    }
    next.state = NextState::Applied { verified: Some(actor.at) };
    next.credential.verified = Some(actor.at);
    next.refused = None;
    remember(slots, actor, "verified", id, None);
    Ok(Done::Now)
}

/// The provider refused it for its own sake. After [`REFUSALS_MAX`] of these it has failed; but not if a command has set it
/// there, where it may be the only one that is in force.
pub fn refused(slots: &mut Slots, id: &str, cause: &str, actor: Actor<'_>) -> Result<Done, StepError> {
    let next = next(slots, id)?;
    match next.state {
        NextState::Failed { .. } => return Ok(Done::Before),
        // No wonder, and nothing against it.
        NextState::Applying { until } if is_at_work(until, actor.at) => return Err(StepError::Applying { until }),
        NextState::Staged if next.replaces => return Err(StepError::NotSet),
        NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } => {}
    }
    // The second refusal is told by what is new in it: the cause is seldom short.
    let is_known = next.refused.as_ref().is_some_and(|refused| refused.cause == cause);
    let times = next.refused.as_ref().map_or(0, |refused| refused.times) + 1;
    next.refused = Some(Refused { times, at: actor.at, cause: cause.to_owned() });
    let step = if times >= REFUSALS_MAX && !(next.replaces && next.may_be_in_force()) {
        next.state = NextState::Failed { at: actor.at, cause: cause.to_owned() };
        "failed"
    } else {
        "refused"
    };
    remember(slots, actor, step, id, Some(cause).filter(|_| !is_known));
    Ok(Done::Now)
}

/// Makes the next credential the current one, and the current one the previous: one write.
pub fn promote(slots: &mut Slots, how: Promotion<'_>, actor: Actor<'_>) -> Result<Done, StepError> {
    if slots.current.as_ref().is_some_and(|current| current.id == how.id) {
        return Ok(Done::Before);
    }
    let next = next(slots, how.id)?;
    match (&next.state, how.verified_within) {
        (NextState::Failed { cause, .. }, _) => return Err(StepError::Failed { cause: cause.clone() }),
        (NextState::Applying { until }, _) if is_at_work(*until, actor.at) => {
            return Err(StepError::Applying { until: *until });
        }
        (NextState::Applying { .. }, _) => return Err(StepError::NotSet),
        (NextState::Staged, _) if next.replaces => return Err(StepError::NotSet),
        (NextState::Staged | NextState::Applied { verified: None }, Some(_)) => return Err(StepError::NotVerified),
        (NextState::Applied { verified: Some(verified) }, Some(within)) if *verified + within < actor.at => {
            return Err(StepError::VerifiedLongAgo { verified: *verified });
        }
        (NextState::Staged | NextState::Applied { .. }, _) => {}
    }
    is_over(slots, actor)?;
    leave_previous(slots, actor);
    // Where nobody has logged in with what a command is said to have set, the one before may be the one in force.
    let is_verified = matches!(next_state(slots), Some(NextState::Applied { verified: Some(_) }));
    let Some(Next { credential, op, replaces, .. }) = slots.next.take() else { return Err(StepError::NothingStaged) };
    let before = slots.current.replace(credential);
    slots.previous = before.map(|before| set_aside(before, op, how.grace, !(replaces && is_verified), actor));
    let reason = how.verified_within.is_none().then_some("not verified");
    remember(slots, actor, "promoted", how.id, reason);
    Ok(Done::Now)
}

/// Stages and promotes in one write, unverified: what is next is discarded. For whoever knows that the current one is dead.
/// One of those before stays as the previous: the current one, unless nobody ever verified it and there is one before it
/// that may be used still, and was not rolled back from. So a wrong paste that follows a wrong paste takes nothing away.
pub fn replace(
    slots: &mut Slots,
    credential: StoredCredential,
    op: String,
    grace: Duration,
    actor: Actor<'_>,
) -> Result<Done, StepError> {
    if let Some(next) = &slots.next {
        may_be_given_up(next, actor)?;
    }
    leave_next(slots, actor);
    let id = credential.id.clone();
    let before = slots.current.replace(credential);
    // One that was rolled back from is no better than what it gave way to: that was let in since.
    let is_better = |it: &Previous| it.usable && actor.at < it.retire_at && !it.was_rolled_back();
    let has_previous = slots.previous.as_ref().is_some_and(is_better);
    match before {
        Some(before) if has_previous && before.verified.is_none() => {
            leave(slots, before, LeftoverReason::Discarded, actor);
        }
        before => {
            leave_previous(slots, actor);
            slots.previous = before.map(|before| set_aside(before, op, grace, true, actor));
        }
    }
    remember(slots, actor, "replaced", &id, None);
    Ok(Done::Now)
}

/// Puts a credential in the place of all there are, where these are for something else than it is and none of them could
/// take its place: they are to be deleted at the provider.
pub fn supersede(slots: &mut Slots, credential: StoredCredential, actor: Actor<'_>) {
    leave_next(slots, actor);
    leave_previous(slots, actor);
    let id = credential.id.clone();
    if let Some(before) = slots.current.replace(credential) {
        leave(slots, before, LeftoverReason::Retired, actor);
    }
    remember(slots, actor, "replaced", &id, Some("by one for something else"));
}

/// Makes the previous credential, which has that id, the current one again, and the current one the previous: one write. It
/// is named, so that whoever repeats this finds it done and does not go forward again. Nodes try it anew, whatever they know
/// against it: the one that is gone back to may be the one that was gone back from before.
pub fn roll_back(
    slots: &mut Slots,
    to: &str,
    reason: &str,
    grace: Duration,
    actor: Actor<'_>,
) -> Result<Done, StepError> {
    if slots.current.as_ref().is_some_and(|current| current.id == to) {
        return Ok(Done::Before);
    }
    match &slots.previous {
        None => return Err(StepError::NoPrevious),
        Some(previous) if previous.credential.id != to => return Err(StepError::OtherPrevious),
        Some(previous) if !previous.usable => return Err(StepError::Replaced),
        Some(_) => {}
    }
    let Previous { mut credential, op, .. } = slots.previous.take().ok_or(StepError::NoPrevious)?;
    credential.retries += 1;
    let id = credential.id.clone();
    let before = slots.current.replace(credential);
    slots.previous = before.map(|before| set_aside(before, op, grace, true, actor));
    remember(slots, actor, "rolled back", &id, Some(reason));
    Ok(Done::Now)
}

/// Takes the previous credential, which has that id, out of use; it is to be deleted at the provider. Before its grace is
/// over only with `now`.
pub fn retire(slots: &mut Slots, id: &str, now: bool, actor: Actor<'_>) -> Result<Done, StepError> {
    let Some(previous) = &slots.previous else { return Ok(Done::Before) };
    if previous.credential.id != id {
        return Err(StepError::OtherPrevious);
    }
    if !now && actor.at < previous.retire_at {
        return Err(StepError::Overlap { until: previous.retire_at });
    }
    leave_previous(slots, actor);
    Ok(Done::Now)
}

/// Gives the next credential, which has that id, up; it is to be deleted at the provider. One that a command set there in the
/// place of the current one may be the only one in force: it is given up only once the provider has refused it.
pub fn discard(slots: &mut Slots, id: &str, reason: Option<&str>, actor: Actor<'_>) -> Result<Done, StepError> {
    let Some(next) = &slots.next else { return Ok(Done::Before) };
    if next.credential.id != id {
        return Err(StepError::Another);
    }
    may_be_given_up(next, actor)?;
    leave_next(slots, actor);
    remember(slots, actor, "discarded", id, reason);
    Ok(Done::Now)
}

/// Ticks off what was deleted at the provider: the leftover of that id or label.
pub fn deleted(slots: &mut Slots, name: &str, actor: Actor<'_>) -> Result<Done, StepError> {
    let is_meant = |left: &Leftover| left.id == name || (!left.label.is_empty() && left.label == name);
    let index = slots.leftovers.iter().position(is_meant).ok_or_else(|| StepError::NoLeftover(name.to_owned()))?;
    let left = &slots.leftovers[index];
    if let Some(until) = left.until.filter(|until| is_at_work(*until, actor.at)) {
        return Err(StepError::Asked { by: left.by.clone(), until });
    }
    let left = slots.leftovers.remove(index);
    remember(slots, actor, "deleted", &left.id, None);
    Ok(Done::Now)
}

/// Lets what the provider refused be tried again: nodes take it for a version of which they know nothing.
pub fn try_again(slots: &mut Slots, actor: Actor<'_>) -> Result<Done, StepError> {
    let current = slots.current.as_mut().ok_or(StepError::NoCurrent)?;
    current.retries += 1;
    let id = current.id.clone();
    if let Some(next) = slots.next.as_mut().filter(|next| next.refused.is_some()) {
        next.credential.retries += 1;
        next.refused = None;
        if matches!(next.state, NextState::Failed { .. }) {
            next.state = NextState::Staged;
        }
    }
    remember(slots, actor, "to be tried again", &id, None);
    Ok(Done::Now)
}

/// The next credential, if it is the one of that id.
fn next<'s>(slots: &'s mut Slots, id: &str) -> Result<&'s mut Next, StepError> {
    let next = slots.next.as_mut().ok_or(StepError::NothingStaged)?;
    if next.credential.id == id { Ok(next) } else { Err(StepError::Another) }
}

/// Whether a next credential may be given up.
fn may_be_given_up(next: &Next, actor: Actor<'_>) -> Result<(), StepError> {
    let is_refused = next.refused.as_ref().is_some_and(|refused| refused.times >= REFUSALS_MAX);
    match next.state {
        NextState::Applying { until } if is_at_work(until, actor.at) => Err(StepError::Applying { until }),
        NextState::Applying { .. } | NextState::Applied { .. } if next.replaces && !is_refused => {
            Err(StepError::MayBeInForce)
        }
        NextState::Staged | NextState::Applying { .. } | NextState::Applied { .. } | NextState::Failed { .. } => Ok(()),
    }
}

/// Whether the next place is free, or that operation's own.
fn free_for(slots: &Slots, op: &str) -> Result<(), StepError> {
    match &slots.next {
        Some(Next { op: own, by, since, state, .. }) if own != op => {
            Err(StepError::UnderWay { by: by.clone(), since: *since, state: state_name(state) })
        }
        _ => Ok(()),
    }
}

/// Whether the command that has until `until` may be at work still.
pub fn is_at_work(until: Timestamp, now: Timestamp) -> bool {
    now < until && until <= now + CLAIM_MAX
}

/// Whether there is room at the provider for what a step has added: `max` is how many it allows. What takes the place of
/// another one needs none, nor does what is there already and changes its place.
pub fn has_room(before: &Slots, after: &Slots, max: Option<u32>) -> Result<(), StepError> {
    let id = |slots: &Slots| slots.current.as_ref().map(|current| current.id.clone());
    let (count, is_more) = (before.at_provider(), after.at_provider() > before.at_provider());
    match max {
        Some(max) if is_more && id(before) == id(after) && count >= max as usize => Err(StepError::Full { count, max }),
        _ => Ok(()),
    }
}

/// How far the next credential is, if there is one.
fn next_state(slots: &Slots) -> Option<&NextState> {
    slots.next.as_ref().map(|next| &next.state)
}

/// Whether no login may need the previous credential any more.
fn is_over(slots: &Slots, actor: Actor<'_>) -> Result<(), StepError> {
    match slots.previous.as_ref().filter(|it| it.usable && actor.at < it.retire_at) {
        Some(previous) => Err(StepError::Overlap { until: previous.retire_at }),
        None => Ok(()),
    }
}

/// Whether that operation has been promoted.
fn is_done(slots: &Slots, op: &str) -> bool {
    slots.previous.as_ref().is_some_and(|previous| previous.op == op)
}

/// Whether the last change of what is current was to go back.
pub fn is_rolled_back(slots: &Slots) -> bool {
    let changes = ["promoted", "replaced", "rolled back"];
    let last = slots.history.iter().rev().find(|entry| changes.contains(&entry.step.as_str()));
    last.is_some_and(|entry| entry.step == "rolled back")
}

/// How far a next credential is, in one word.
pub fn state_name(state: &NextState) -> &'static str {
    match state {
        NextState::Staged => "staged",
        NextState::Applying { .. } => "applying",
        NextState::Applied { verified: None } => "applied",
        NextState::Applied { verified: Some(_) } => "verified",
        NextState::Failed { .. } => "failed",
    }
}

fn set_aside(credential: StoredCredential, op: String, grace: Duration, usable: bool, actor: Actor<'_>) -> Previous {
    Previous { credential, op, since: actor.at, retire_at: actor.at + grace, usable }
}

/// One that the provider does not take any more needs not be deleted there.
fn leave_previous(slots: &mut Slots, actor: Actor<'_>) {
    let Some(previous) = slots.previous.take() else { return };
    let id = previous.credential.id.clone();
    if previous.usable {
        leave(slots, previous.credential, LeftoverReason::Retired, actor);
    }
    remember(slots, actor, "retired", &id, None);
}

fn leave_next(slots: &mut Slots, actor: Actor<'_>) {
    let Some(next) = slots.next.take() else { return };
    if !next.replaces {
        leave(slots, next.credential, LeftoverReason::Discarded, actor);
    }
}

/// What shows nothing at the provider, or the same as another one that stays, is not to be deleted there.
pub(super) fn leave(slots: &mut Slots, credential: StoredCredential, why: LeftoverReason, actor: Actor<'_>) {
    let others = Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot));
    if !credential::is_to_be_deleted(&credential, others) {
        return;
    }
    let StoredCredential { id, label, .. } = credential;
    let by = actor.by.to_owned();
    // Handed in again and given up again, it has one name in the portal, and is to be looked for once.
    let is_alike = |left: &Leftover| left.label == label && left.why == why && left.upstream.is_none();
    if why == LeftoverReason::Discarded && !label.is_empty() {
        slots.leftovers.retain(|left| !is_alike(left));
    }
    slots.leftovers.push(Leftover { id, label, since: actor.at, by, why, until: None, upstream: None });
}

pub(super) fn remember(slots: &mut Slots, actor: Actor<'_>, step: &str, id: &str, reason: Option<&str>) {
    let (by, step, id) = (actor.by.to_owned(), step.to_owned(), id.to_owned());
    let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    slots.history.push(HistoryEntry { at: actor.at, by, step, id, reason: reason.map(short) });
    let surplus = slots.history.len().saturating_sub(HISTORY_MAX);
    slots.history.drain(..surplus);
}
