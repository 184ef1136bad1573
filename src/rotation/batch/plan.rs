//! What a batch would do. It reads, and must never write or log in.

use std::collections::{BTreeMap, VecDeque};

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::{Batch, Before, Finished, Outcome, Row, Ticket};
use crate::broker::{DirectoryError, client_secret};
use crate::credential;
use crate::model::{CredentialKind, Material, Profile, Slot, Slots, StoredCredential};
use crate::rotation::machine::{StepError, state_name};
use crate::rotation::{RotationError, Subject, listed};

/// Records that are read at once: a server is waited for once per so many, and has time for others.
const READS_AT_ONCE: usize = 16;

/// Labels that a cause names.
const LABELS_MAX: usize = 5;

/// What a new credential would come to, as its account's places are now.
#[derive(Debug, PartialEq, Eq)]
pub enum Prospect {
    /// It would be staged, and so on.
    Rotate,
    /// It is staged already: that would be gone on with.
    GoOn,
    /// It is the current one already.
    Already,
    /// It cannot be staged, or not promoted, now.
    Step(StepError),
    /// The provider has as many as it allows.
    Limit {
        /// How many there are, as far as is known.
        count: usize,
        /// How many there may be.
        max: u32,
    },
}

/// What that credential would come to. `max`: how many the provider allows.
pub fn foresee(slots: &Slots, material: &Material, max: Option<u32>, now: Timestamp) -> Prospect {
    let is_in = |slot| slots.in_slot(slot).is_some_and(|stored| stored.material == *material);
    if is_in(Slot::Current) {
        return Prospect::Already;
    }
    if let Some(next) = slots.next.as_ref().filter(|_| !is_in(Slot::Next)) {
        let (by, since, state) = (next.by.clone(), next.since, state_name(&next.state));
        return Prospect::Step(StepError::UnderWay { by, since, state });
    }
    if let Some(previous) = slots.previous.as_ref().filter(|it| it.usable && now < it.retire_at) {
        return Prospect::Step(StepError::Overlap { until: previous.retire_at });
    }
    if slots.next.is_some() {
        return Prospect::GoOn;
    }
    let count = slots.at_provider();
    match max {
        Some(max) if count >= max as usize => Prospect::Limit { count, max },
        _ => Prospect::Rotate,
    }
}

/// What a batch would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is to be rotated, by upstream, in the order of the file.
    pub(super) queues: BTreeMap<String, VecDeque<Job>>,
    /// What is done with already, in the order of the file.
    pub(super) settled: Vec<Finished>,
}

/// A row that can be rotated.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) subject: Subject,
    pub(super) credential: StoredCredential,
    pub(super) goes_on: bool,
}

impl Plan {
    /// Rows that would be rotated.
    pub fn to_rotate(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }

    /// Those of them that were begun before.
    pub fn to_go_on(&self) -> usize {
        self.queues.values().flatten().filter(|job| job.goes_on).count()
    }

    /// How many would be rotated at each upstream.
    pub fn by_upstream(&self) -> impl Iterator<Item = (&str, usize)> {
        self.queues.iter().map(|(upstream, queue)| (upstream.as_str(), queue.len()))
    }

    /// What is known already of rows that nothing is to be done for, in the order of the file.
    pub fn settled(&self) -> &[Finished] {
        &self.settled
    }

    /// All rows.
    pub fn len(&self) -> usize {
        self.to_rotate() + self.settled.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add(&mut self, planned: Planned) {
        match planned {
            Planned::Job { upstream, job } => self.queues.entry(upstream).or_default().push_back(*job),
            Planned::Settled(finished) => self.settled.push(finished),
        }
    }
}

enum Planned {
    Job { upstream: String, job: Box<Job> },
    Settled(Finished),
}

impl Batch {
    /// Looks at each row's account. `show` is told how many were looked at.
    ///
    /// # Errors
    /// If the store is out of reach.
    pub async fn plan(&self, rows: Vec<Row>, mut show: impl FnMut(usize)) -> Result<Plan, DirectoryError> {
        let mut plan = Plan::default();
        let mut looks = stream::iter(rows.into_iter().map(|row| self.look(row))).buffered(READS_AT_ONCE);
        let mut looked = 0;
        while let Some(planned) = looks.next().await {
            plan.add(planned?);
            looked += 1;
            show(looked);
        }
        Ok(plan)
    }

    async fn look(&self, row: Row) -> Result<Planned, DirectoryError> {
        let settled = |ticket: Ticket, outcome, cause| Ok(Planned::Settled(ticket.finished(outcome, cause, false)));
        let mut ticket = Ticket::of(&row);
        let subject = Subject::app_password(&row.account);
        let found = match subject.read(&self.rotation.directory).await {
            Ok(Some(found)) => found.record,
            Ok(None) if row.account.contains('@') => {
                return Ok(Planned::Settled(ticket.failed(&RotationError::Missing(subject))));
            }
            // In a row that has its columns the wrong way round, that would be the password.
            Ok(None) => {
                ticket.account = String::new();
                let cause =
                    "there is no account of that name, which is not shown: it is no address, and may be a secret";
                return settled(ticket, Outcome::Missing, cause.to_owned());
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => return Ok(Planned::Settled(ticket.failed(&error.into()))),
        };
        let upstream = found.upstream();
        if let Some(taken) = row.upstream.as_deref().filter(|taken| *taken != upstream) {
            let cause = format!("the account is at {upstream}, and the row says {taken}");
            return settled(ticket, Outcome::Unusable, cause);
        }
        let Some(profile) = self.rotation.broker.upstream(upstream) else {
            return settled(ticket, Outcome::Unusable, format!("the configuration has no upstream {upstream}"));
        };
        if let Some(error) = self.nothing_to_verify(&profile) {
            return Ok(Planned::Settled(ticket.failed(&error)));
        }
        let now = Timestamp::now();
        let made = client_secret::random_id().map_err(|error| error.to_string()).and_then(|id| {
            let made = credential::new_app_password(&row.secret, profile.app_password, id, &row.label, now);
            made.map_err(|error| error.to_string())
        });
        let credential = match made {
            Ok(credential) => credential,
            Err(cause) => return settled(ticket, Outcome::Unusable, cause),
        };
        let none = Slots::default();
        let slots = subject.slots(&found).unwrap_or(&none);
        let before = |stored: &StoredCredential| Before { id: stored.id.clone(), label: stored.label.clone() };
        ticket.before = slots.current.as_ref().map(before);
        let prospect = foresee(slots, &credential.material, profile.app_passwords_max, now);
        let goes_on = prospect == Prospect::GoOn;
        match prospect {
            Prospect::Rotate | Prospect::GoOn => {
                let placed = slots.next.as_ref().map(|next| &next.credential).filter(|_| goes_on);
                ticket.credential = Some(placed.unwrap_or(&credential).id.clone());
                let upstream = upstream.to_owned();
                Ok(Planned::Job { upstream, job: Box::new(Job { ticket, subject, credential, goes_on }) })
            }
            Prospect::Already => {
                ticket.credential = slots.current.as_ref().map(|current| current.id.clone());
                ticket.before = slots.previous.as_ref().map(|previous| before(&previous.credential));
                settled(ticket, Outcome::Already, String::new())
            }
            Prospect::Step(error) => Ok(Planned::Settled(ticket.failed(&error.into()))),
            Prospect::Limit { count, max } => settled(ticket, Outcome::Limit, at_limit(slots, count, max)),
        }
    }

    /// Why nobody could log in with an app password there, by what was asked for.
    fn nothing_to_verify(&self, profile: &Profile) -> Option<RotationError> {
        let (asked, kind) = (&self.options.protocols, CredentialKind::AppPassword);
        let mut meant = profile.endpoints.iter().filter(|(protocol, _)| asked.is_empty() || asked.contains(protocol));
        if meant.any(|(_, endpoint)| endpoint.takes(kind)) {
            return None;
        }
        let protocols = if asked.is_empty() { "any protocol".to_owned() } else { listed(asked) };
        Some(RotationError::NothingToVerify { upstream: profile.name.clone(), kind: kind.name(), protocols })
    }
}

fn at_limit(slots: &Slots, count: usize, max: u32) -> String {
    let named = |label: &String, id: &String| if label.is_empty() { id.clone() } else { format!("{label:?}") };
    let mut labels: Vec<String> = slots.to_delete().take(LABELS_MAX).map(|left| named(&left.label, &left.id)).collect();
    let more = slots.to_delete().count().saturating_sub(LABELS_MAX);
    if more > 0 {
        labels.push(format!("{more} more"));
    }
    let which = if labels.is_empty() { "one that is not used".to_owned() } else { labels.join(", ") };
    format!(
        "the provider allows {max} app passwords and has {count}, as far as is known: delete {which} there, tick it off \
         with `locum rotate deleted`, and run this again"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Leftover, LeftoverReason, Secret};
    use crate::rotation::machine::{self, Actor, Promotion, Staging};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const ALICE: Actor<'_> = Actor { by: "alice@desk", at: NOW };
    const GRACE: Duration = Duration::from_secs(60);

    fn stored(secret: &str) -> StoredCredential {
        let material = Material::of("secret", Secret::new(secret));
        StoredCredential {
            id: format!("id-{secret}"),
            label: String::new(),
            created: NOW,
            verified: None,
            retries: 0,
            material,
        }
    }

    fn staged(slots: &mut Slots, secret: &str) {
        let staging = Staging { credential: stored(secret), op: secret.to_owned(), replaces: false };
        machine::stage(slots, staging, ALICE).unwrap();
    }

    fn seen(slots: &Slots, secret: &str, max: Option<u32>, now: Timestamp) -> Prospect {
        foresee(slots, &stored(secret).material, max, now)
    }

    #[test]
    fn what_is_there_already_is_not_done_again_and_what_is_begun_is_gone_on_with() {
        let mut slots = Slots::of(stored("old"));
        assert_eq!(seen(&slots, "old", None, NOW), Prospect::Already);
        assert_eq!(seen(&slots, "new", None, NOW), Prospect::Rotate);
        staged(&mut slots, "new");
        assert_eq!(seen(&slots, "new", None, NOW), Prospect::GoOn);
        let Prospect::Step(error) = seen(&slots, "other", None, NOW) else { panic!("another is under way") };
        assert!(error.to_string().starts_with("alice@desk staged another one at "), "{error}");
    }

    #[test]
    fn the_one_before_is_not_taken_from_logins_within_its_grace() {
        let mut slots = Slots::of(stored("old"));
        staged(&mut slots, "new");
        machine::promote(&mut slots, Promotion { id: "id-new", grace: GRACE, verified_within: None }, ALICE).unwrap();
        assert_eq!(seen(&slots, "new", None, NOW), Prospect::Already);
        assert_eq!(seen(&slots, "newer", None, NOW), Prospect::Step(StepError::Overlap { until: NOW + GRACE }));
        assert_eq!(seen(&slots, "newer", None, NOW + GRACE), Prospect::Rotate);
    }

    #[test]
    fn at_the_provider_s_limit_nothing_is_begun_and_what_is_begun_goes_on() {
        let mut slots = Slots::of(stored("old"));
        let (id, label, by) = ("l1".to_owned(), "scanner 2024".to_owned(), "alice@desk".to_owned());
        slots.leftovers.push(Leftover {
            id,
            label,
            since: NOW,
            by,
            why: LeftoverReason::Retired,
            until: None,
            upstream: None,
        });
        slots.elsewhere = 1;
        assert_eq!(seen(&slots, "new", Some(4), NOW), Prospect::Rotate);
        assert_eq!(seen(&slots, "new", Some(3), NOW), Prospect::Limit { count: 3, max: 3 });
        assert!(at_limit(&slots, 3, 3).contains("has 3, as far as is known: delete \"scanner 2024\" there"));
        staged(&mut slots, "new");
        assert_eq!(seen(&slots, "new", Some(3), NOW), Prospect::GoOn);
    }
}
