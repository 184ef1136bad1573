//! What refusals mean: that clients were let in with another credential, that none is left, and that the one before has to
//! become current again.
//!
//! A good credential must not be rolled back for a provider's passing fault, and so this is what it takes, all of it:
//! - Refusals for the credential's own sake alone ([`Cause::AuthBad`]), so many as the configuration says, since it became
//!   current and since anybody was let in with it. Limits, policies, outages and words that Locum does not know count for
//!   nothing.
//! - The one before was let in after the last of them: the provider is there, knows the mailbox, and takes logins. A fault
//!   that refuses everybody refuses that one, too, and then nothing is done but to tell it.
//! - A second look at the current one, some time after the last refusal: whoever is let in by then ends it. The breaker may
//!   hold that login back, for it was refused twice; then it is as dead here as it can be, and a third try would be the one
//!   that locks the mailbox.
//!
//! What is done is cheap to undo: both stay at the provider and in the record, and an operator who is told goes back. It is
//! never done where the current one has replaced the one before at the provider, nor where somebody has gone back already:
//! two nodes, or a node and an operator, would change them over and over. Clients fall back all the same.

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::look::Seen;
use super::{Keeper, name, subject};
use crate::model::{Slot, Slots};
use crate::rotation::machine::{self, Done, REFUSALS_MAX};
use crate::rotation::schedule::command;
use crate::rotation::usage::places;
use crate::rotation::{AlertKind, RotationError, Subject};
use crate::usage::{FellBack, Used};

/// That the one before is to be current again: which takes whose place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fall {
    current: String,
    previous: String,
    refusals: u32,
    /// The last refusal.
    at: Timestamp,
}

impl Keeper {
    /// Hears what clients met with, and sees to it.
    pub(super) async fn watch(&self) {
        let every = self.rotation.options.keeper.look_every;
        loop {
            // Those whom the provider refuses and who have nothing to fall back to make no news: they are looked for.
            let _ = timeout(every, self.ledger.changed()).await;
            for fell in self.ledger.fell_back() {
                self.tell_fell_back(&fell);
            }
            for (holder, kind) in self.ledger.troubled() {
                self.consider(&subject(&holder, kind)).await;
            }
            // News come with each login, and each is looked at with its record.
            sleep(every.min(super::LOOK_TIME_MIN)).await;
        }
    }

    /// The provider refused what is current, twice, and no client was there.
    pub(super) async fn refused_here(&self, subject: &Subject, id: &str, cause: &str) {
        let previous = match self.rotation.slots(subject).await {
            Ok(slots) => slots.previous.filter(|it| it.usable && Timestamp::now() < it.retire_at),
            Err(_) => None,
        };
        if let Some(previous) = previous
            && self.try_slot(subject, &previous.credential.id, Slot::Previous).await == Seen::Accepted
        {
            return self.consider(subject).await;
        }
        self.tell_refused(subject, id, cause);
    }

    /// Tells that a credential is dead, or rolls it back.
    async fn consider(&self, subject: &Subject) {
        let options = &self.rotation.options;
        let used = self.ledger.used(&subject.holder(), subject.kind());
        let is_refused = |it: &&Used| it.slot == Slot::Current && it.place.is_none() && it.refusals > 0;
        let Some(refused) = used.iter().find(is_refused) else { return };
        let id = refused.credential.as_str();
        let is_helped = used.iter().any(|it| it.credential != id && it.last_success >= refused.last_refusal);
        let is_new = refused.last_refusal.is_some_and(|last| last + options.second_look > Timestamp::now());
        // What there is to tell of it comes with the next refusal, or a while after this one, or was told. No record is read
        // for it: there may be many of these.
        let is_dead = refused.refusals >= REFUSALS_MAX && !is_new;
        if !is_helped && (!is_dead || self.alerts.has_said(AlertKind::Refused, &name(subject), id)) {
            return;
        }
        // That they fall back was told when a client was let in. More follows from it seldom, and this comes again and again
        // for as long as they do.
        let keeper = &options.keeper;
        let may_fall = keeper.keeps && keeper.rollback_after > 0 && refused.refusals >= keeper.rollback_after;
        if is_helped && (!may_fall || is_new) {
            return; // it is still there at the next look
        }
        let slots = match self.rotation.slots(subject).await {
            Ok(slots) => slots,
            Err(RotationError::Missing(_)) => Slots::default(),
            Err(_) => return,
        };
        if slots.current.as_ref().is_none_or(|current| current.id != id) {
            // It is none of the troubles that are looked for any more.
            let (holder, places) = (subject.holder(), places(&slots));
            return self.ledger.looked(&holder, subject.kind(), Some(&places), Timestamp::now());
        }
        if !is_helped {
            return self.tell_refused(subject, id, &format!("it refused it {} times", refused.refusals));
        }
        let Some(fall) = judge(&slots, &used, options.keeper.rollback_after, Timestamp::now()) else { return };
        match self.try_slot(subject, &fall.current, Slot::Current).await {
            Seen::Refused(cause) => self.roll_back(subject, &fall, &cause).await,
            seen => tracing::debug!(%subject, ?seen, "not rolled back"),
        }
    }

    async fn roll_back(&self, subject: &Subject, fall: &Fall, cause: &str) {
        let Fall { current, previous, refusals, at } = fall;
        let reason = format!("the provider refused it {refusals} times and takes the one before: {cause}");
        let _step = self.step.lock().await;
        match self.rotation.roll_back_from(subject, current, previous, &reason).await {
            Ok(Done::Before) => tracing::debug!(%subject, "somebody else saw to it"),
            Ok(Done::Now) => {
                let cause = format!("the {subject}: rolled back to {previous}, since {reason}");
                let again = command("run", subject);
                let remedy = format!("see why {current} is refused, then give another one: `{again}`");
                self.say(AlertKind::RolledBack, Some(subject), Some(current), cause, remedy, *at);
            }
            Err(error) if error.is_transient() => tracing::debug!(%subject, %error, "rolled back later"),
            Err(error) => self.tell_not_rolled_back(subject, fall, &error),
        }
    }

    fn tell_not_rolled_back(&self, subject: &Subject, fall: &Fall, error: &RotationError) {
        let cause = format!(
            "the {subject}: the provider refuses {} and takes the one before, which this node cannot make current again: \
             {error}",
            fall.current
        );
        let remedy = format!("clients are let in with the one before: `{}`", command("rollback", subject));
        self.say(AlertKind::NotRolledBack, Some(subject), Some(&fall.current), cause, remedy, fall.at);
    }

    fn tell_fell_back(&self, fell: &FellBack) {
        let subject = subject(&fell.holder, fell.kind);
        let cause = format!(
            "the {subject}: the provider refuses the current credential, and clients are let in with the {} one",
            fell.slot
        );
        let verb = if fell.slot == Slot::Next { "run" } else { "rollback" };
        let remedy = format!("see `{}`, then `{}`", command("status", &subject), command(verb, &subject));
        self.say(AlertKind::FellBack, Some(&subject), Some(&fell.refused), cause, remedy, Timestamp::now());
    }

    fn tell_refused(&self, subject: &Subject, id: &str, cause: &str) {
        let cause = format!("the {subject}: the provider refuses the credential, and clients cannot log in: {cause}");
        let (run, retry) = (command("run", subject), command("retry", subject));
        let remedy = format!("give it another one: `{run}`; or `{retry}` if the provider was wrong");
        self.say(AlertKind::Refused, Some(subject), Some(id), cause, remedy, Timestamp::now());
    }
}

/// Whether the one before is to be current again. `used` is what is known of the versions.
fn judge(slots: &Slots, used: &[Used], after: u32, now: Timestamp) -> Option<Fall> {
    let (current, previous) = (slots.current.as_ref()?, slots.previous.as_ref()?);
    let is_there = previous.usable && now < previous.retire_at;
    let is_replaced = slots.next.as_ref().is_some_and(|next| next.replaces && next.may_be_in_force());
    if after == 0 || !is_there || is_replaced || machine::is_rolled_back(slots) {
        return None;
    }
    let known = |id: &str| used.iter().find(|it| it.credential == id);
    let (refused, accepted) = (known(&current.id)?, known(&previous.credential.id)?);
    let last = refused.last_refusal.filter(|last| *last >= previous.since)?;
    let is_accepted = accepted.refusals == 0 && accepted.last_success.is_some_and(|it| it >= last);
    (refused.refusals >= after && is_accepted).then(|| Fall {
        current: current.id.clone(),
        previous: previous.credential.id.clone(),
        refusals: refused.refusals,
        at: last,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{HistoryEntry, Material, Next, NextState, Previous, Secret, StoredCredential};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000 + second).unwrap()
    }

    fn stored(id: &str) -> StoredCredential {
        let material = Material::of("secret", Secret::new("abcdefghijklmnop"));
        StoredCredential { id: id.into(), label: String::new(), created: at(0), verified: None, retries: 0, material }
    }

    /// B took A's place at 0, and A may be used until 100.
    fn slots() -> Slots {
        let (op, since, retire_at) = ("op".to_owned(), at(0), at(100));
        let previous = Previous { credential: stored("A"), op, since, retire_at, usable: true };
        Slots { previous: Some(previous), ..Slots::of(stored("B")) }
    }

    fn used(id: &str, refusals: u32, last_refusal: Option<i64>, last_success: Option<i64>) -> Used {
        Used {
            credential: id.into(),
            slot: Slot::Current,
            place: None,
            live: 0,
            last_seen: None,
            last_success: last_success.map(at),
            refusals,
            last_refusal: last_refusal.map(at),
            logins: Vec::new(),
            more: false,
        }
    }

    fn falls(slots: &Slots, used: &[Used], after: u32) -> bool {
        judge(slots, used, after, at(50)).is_some()
    }

    #[test]
    fn it_takes_so_many_refusals_and_the_one_before_let_in_after_them() {
        let after = |refusals| [used("B", refusals, Some(10), None), used("A", 0, None, Some(11))];
        assert!(!falls(&slots(), &after(1), 2));
        assert!(falls(&slots(), &after(2), 2));
        assert!(!falls(&slots(), &after(2), 0), "never is never");
        let earlier = [used("B", 2, Some(10), None), used("A", 0, None, Some(9))];
        assert!(!falls(&slots(), &earlier, 2), "it was let in before the provider began to refuse");
        assert!(!falls(&slots(), &earlier[..1], 2), "nobody tried the one before");
    }

    #[test]
    fn who_refuses_everybody_rolls_nothing_back() {
        let both = [used("B", 2, Some(10), None), used("A", 1, Some(12), Some(11))];
        assert!(!falls(&slots(), &both, 2));
    }

    #[test]
    fn refusals_from_before_it_became_current_count_for_nothing() {
        let before = [used("B", 2, Some(-1), None), used("A", 0, None, Some(11))];
        assert!(!falls(&slots(), &before, 2));
    }

    #[test]
    fn what_somebody_went_back_to_is_not_gone_back_from() {
        let known = [used("B", 2, Some(10), None), used("A", 0, None, Some(11))];
        let did = |slots: &mut Slots, step: &str| {
            let (by, step, id) = ("ann@desk".to_owned(), step.to_owned(), "B".to_owned());
            slots.history.push(HistoryEntry { at: at(0), by, step, id, reason: None });
        };
        let mut slots = slots();
        for (step, is_left) in
            [("promoted", false), ("rolled back", true), ("labelled", true), ("promoted", false), ("replaced", false)]
        {
            did(&mut slots, step);
            assert_eq!(falls(&slots, &known, 2), !is_left, "{step}");
        }
    }

    #[test]
    fn what_was_replaced_at_the_provider_is_not_gone_back_to() {
        let known = [used("B", 2, Some(10), None), used("A", 0, None, Some(11))];
        let mut replaced = slots();
        replaced.previous.as_mut().unwrap().usable = false;
        assert!(!falls(&replaced, &known, 2));
        let mut replacing = slots();
        let (op, by, since) = ("op".into(), "ann@desk".into(), at(20));
        let state = NextState::Applying { until: at(60) };
        replacing.next = Some(Next { credential: stored("C"), op, by, since, state, replaces: true, refused: None });
        assert!(!falls(&replacing, &known, 2));
    }

    #[test]
    fn behind_its_grace_it_may_be_gone_at_the_provider() {
        let known = [used("B", 2, Some(10), None), used("A", 0, None, Some(11))];
        assert!(judge(&slots(), &known, 2, at(100) - Duration::from_secs(1)).is_some());
        assert!(judge(&slots(), &known, 2, at(100)).is_none());
    }
}
