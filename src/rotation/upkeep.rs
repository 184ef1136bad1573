//! Changes of the places outside of a rotation: a password that is pasted over the current one, a move to another
//! provider, a count, a name. As pure as the steps of `machine`, and on the same invariants.

use std::time::Duration;

use super::machine::{self, Actor, Done, StepError};
use crate::model::{LeftoverReason, Slot, Slots, StoredCredential};

/// What became of a credential that was pasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pasted {
    /// It is the current one now.
    Anew,
    /// It was already: nodes try it again, whatever was known against it.
    Same,
    /// It was the previous one, and is the current one again.
    RolledBack,
}

/// Makes a credential the current one in one write, unverified. What is staged is no business of whoever does this: it is
/// finished or discarded first, or its secret would be lost without a word.
pub fn paste(
    slots: &mut Slots,
    credential: StoredCredential,
    grace: Duration,
    actor: Actor<'_>,
) -> Result<Pasted, StepError> {
    let is_it = |slot| slots.in_slot(slot).is_some_and(|stored| stored.material == credential.material);
    // One secret in two places would be named for deletion at the provider while logins use it.
    if is_it(Slot::Current) {
        machine::try_again(slots, actor)?;
        if let Some(current) = slots.current.as_mut().filter(|_| !credential.label.is_empty()) {
            current.label = credential.label;
        }
        return Ok(Pasted::Same);
    }
    if is_it(Slot::Next) {
        return Err(StepError::Same(Slot::Next));
    }
    let previous = slots.previous.as_ref().filter(|previous| is_it(Slot::Previous) && previous.usable);
    if let Some(id) = previous.map(|previous| previous.credential.id.clone()) {
        machine::roll_back(slots, &id, "pasted again", grace, actor)?;
        return Ok(Pasted::RolledBack);
    }
    if let Some(next) = &slots.next {
        let (by, since, state) = (next.by.clone(), next.since, machine::state_name(&next.state));
        return Err(StepError::UnderWay { by, since, state });
    }
    let op = credential.id.clone();
    machine::replace(slots, credential, op, grace, actor)?;
    Ok(Pasted::Anew)
}

/// The account lives at another provider from now on. What it had is shown to nobody any more: it is to be deleted at
/// `from`. The ids of what left its place are the answer.
pub fn move_away(slots: &mut Slots, from: &str, to: &str, actor: Actor<'_>) -> Vec<String> {
    let next = slots.next.take().filter(|next| !next.replaces).map(|next| next.credential);
    let previous = slots.previous.take().filter(|previous| previous.usable).map(|previous| previous.credential);
    let placed: Vec<StoredCredential> = slots.current.take().into_iter().chain(next).chain(previous).collect();
    let ids: Vec<String> = placed.iter().map(|stored| stored.id.clone()).collect();
    for stored in placed {
        machine::leave(slots, stored, LeftoverReason::Moved, actor);
    }
    for left in &mut slots.leftovers {
        let at = left.upstream.take().unwrap_or_else(|| from.to_owned());
        left.upstream = (at != to).then_some(at); // it may have come back
    }
    slots.elsewhere = 0; // they were counted at the other one
    machine::remember(slots, actor, "moved", "", Some(&format!("from {from} to {to}")));
    ids
}

/// Puts down how many exist at the provider in all, as somebody counted them there.
pub fn count(slots: &mut Slots, counted: u32, actor: Actor<'_>) -> Result<Done, StepError> {
    let known = slots.known_at_provider();
    let elsewhere = usize::try_from(counted).unwrap_or(usize::MAX).checked_sub(known);
    let elsewhere = elsewhere.and_then(|it| u32::try_from(it).ok()).ok_or(StepError::Miscounted { counted, known })?;
    if slots.elsewhere == elsewhere {
        return Ok(Done::Before);
    }
    slots.elsewhere = elsewhere;
    machine::remember(slots, actor, "counted", "", Some(&format!("{counted} at the provider")));
    Ok(Done::Now)
}

/// Puts down the name that the one in a place bears at the provider.
pub fn label(slots: &mut Slots, slot: Slot, label: &str, actor: Actor<'_>) -> Result<Done, StepError> {
    let stored = match slot {
        Slot::Current => slots.current.as_mut().ok_or(StepError::NoCurrent)?,
        Slot::Next => slots.next.as_mut().map(|next| &mut next.credential).ok_or(StepError::NothingStaged)?,
        Slot::Previous => slots.previous.as_mut().map(|it| &mut it.credential).ok_or(StepError::NoPrevious)?,
    };
    if stored.label == label {
        return Ok(Done::Before);
    }
    label.clone_into(&mut stored.label);
    let id = stored.id.clone();
    machine::remember(slots, actor, "labelled", &id, None);
    Ok(Done::Now)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{Material, Secret};
    use crate::rotation::machine::Staging;

    const GRACE: Duration = Duration::from_secs(3_600);
    const ACTOR: Actor<'_> = Actor { by: "alice@one", at: Timestamp::UNIX_EPOCH };

    fn stored(id: &str, secret: &str) -> StoredCredential {
        StoredCredential {
            id: id.to_owned(),
            label: format!("label of {id}"),
            created: Timestamp::UNIX_EPOCH,
            verified: None,
            retries: 0,
            material: Material::of("secret", Secret::new(secret)),
        }
    }

    fn ids(slots: &Slots) -> [Option<&str>; 3] {
        Slot::ALL.map(|slot| slots.in_slot(slot).map(|stored| stored.id.as_str()))
    }

    fn stage(slots: &mut Slots, id: &str, secret: &str) -> Result<Done, StepError> {
        let staging = Staging { credential: stored(id, secret), op: id.to_owned(), replaces: false };
        machine::stage(slots, staging, ACTOR)
    }

    #[test]
    fn what_is_pasted_keeps_the_one_before() {
        let mut slots = Slots::of(stored("a", "A"));
        assert_eq!(paste(&mut slots, stored("b", "B"), GRACE, ACTOR), Ok(Pasted::Anew));
        assert_eq!(ids(&slots), [Some("b"), None, Some("a")]);
        assert!(slots.leftovers.is_empty());
    }

    #[test]
    fn one_secret_never_has_two_places() {
        let mut slots = Slots::of(stored("a", "A"));
        paste(&mut slots, stored("b", "B"), GRACE, ACTOR).unwrap();
        assert_eq!(paste(&mut slots, stored("c", "B"), GRACE, ACTOR), Ok(Pasted::Same));
        let current = slots.current.as_ref().unwrap();
        assert_eq!((current.id.as_str(), current.label.as_str(), current.retries), ("b", "label of c", 1));
        assert_eq!(stage(&mut slots, "c", "A"), Err(StepError::Same(Slot::Previous)));
        assert_eq!(paste(&mut slots, stored("c", "A"), GRACE, ACTOR), Ok(Pasted::RolledBack));
        assert_eq!(ids(&slots), [Some("a"), None, Some("b")]);
        stage(&mut slots, "d", "D").unwrap();
        assert_eq!(paste(&mut slots, stored("e", "D"), GRACE, ACTOR), Err(StepError::Same(Slot::Next)));
        assert!(slots.leftovers.is_empty());
    }

    #[test]
    fn what_is_staged_is_not_pasted_over() {
        let mut slots = Slots::of(stored("a", "A"));
        stage(&mut slots, "b", "B").unwrap();
        let before = slots.clone();
        let refused = paste(&mut slots, stored("c", "C"), GRACE, ACTOR).unwrap_err();
        assert!(matches!(refused, StepError::UnderWay { state: "staged", .. }), "{refused}");
        assert_eq!(slots, before);
    }

    #[test]
    fn whoever_moves_takes_no_secret_along_and_forgets_none() {
        let mut slots = Slots::of(stored("a", "A"));
        paste(&mut slots, stored("b", "B"), GRACE, ACTOR).unwrap();
        stage(&mut slots, "c", "C").unwrap();
        count(&mut slots, 7, ACTOR).unwrap();
        assert_eq!(move_away(&mut slots, "one", "two", ACTOR), ["b", "c", "a"]);
        assert_eq!((ids(&slots), slots.at_provider()), ([None; 3], 0));
        let left: Vec<_> = slots.leftovers.iter().map(|left| (&*left.label, left.upstream.as_deref())).collect();
        assert_eq!(left, [("label of b", Some("one")), ("label of c", Some("one")), ("label of a", Some("one"))]);
        paste(&mut slots, stored("d", "D"), GRACE, ACTOR).unwrap();
        assert_eq!(slots.at_provider(), 1);
        // Back where they are.
        move_away(&mut slots, "two", "one", ACTOR);
        let left: Vec<_> = slots.leftovers.iter().map(|left| (&*left.id, left.upstream.as_deref())).collect();
        assert_eq!(left, [("b", None), ("c", None), ("a", None), ("d", Some("two"))]);
        assert_eq!(slots.at_provider(), 3);
    }

    #[test]
    fn a_count_is_what_the_portal_shows() {
        let mut slots = Slots::of(stored("a", "A"));
        stage(&mut slots, "b", "B").unwrap();
        assert_eq!(count(&mut slots, 12, ACTOR), Ok(Done::Now));
        assert_eq!((slots.elsewhere, slots.at_provider()), (10, 12));
        assert_eq!(count(&mut slots, 12, ACTOR), Ok(Done::Before));
        assert_eq!(count(&mut slots, 1, ACTOR), Err(StepError::Miscounted { counted: 1, known: 2 }));
    }

    #[test]
    fn a_label_is_put_down_for_one_place() {
        let mut slots = Slots::of(stored("a", "A"));
        assert_eq!(label(&mut slots, Slot::Current, "x", ACTOR), Ok(Done::Now));
        assert_eq!(slots.current.as_ref().unwrap().label, "x");
        assert_eq!(label(&mut slots, Slot::Next, "x", ACTOR), Err(StepError::NothingStaged));
        assert_eq!(label(&mut slots, Slot::Previous, "x", ACTOR), Err(StepError::NoPrevious));
    }
}
