//! What a node does by itself, so that nobody has to be called: it logs in where no client did, lets what was current before be
//! current again when the provider refuses its successor, takes out of use what is used no more, and says what is due. It
//! must never promote anything, nor try what the breaker holds back.
//!
//! - [`Keeper::run`]: all of it, until it is told to stop.
//! - `look`: one login in the background. `fall`: what refusals mean, and what follows from them.
//!
//! Several nodes may do it at once: each step is a compare-and-set on what was seen, so that one takes it and the others find
//! it done. What they log in to is logged in to by each, so that one such node is enough.

mod fall;
mod look;
mod tally;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::schedule::{self, Due, Terms, Why};
use super::{Alert, AlertKind, Alerts, Rotation, Subject};
use crate::broker::DirectoryError;
use crate::model::{Account, CredentialKind, Holder, Slots, Tenant};
use crate::usage::Ledger;
use tally::Tally;

/// Records that are read at a time.
const PAGE: usize = 200;

/// Logins in the background at once. Clients come first at the provider, too.
const LOOKS_AT_ONCE: usize = 2;

/// The least time for one: five a second at most, whatever the number of accounts.
const LOOK_TIME_MIN: Duration = Duration::from_millis(400);

/// More that become due in one round are one alert.
const DUE_ALONE_MAX: usize = 5;

/// Looks after credentials.
#[derive(Debug)]
pub struct Keeper {
    rotation: Rotation,
    ledger: Ledger,
    alerts: Alerts,
    /// Held while a step is taken.
    step: Mutex<()>,
    /// Other in each process, so that two nodes do not log in at the same moment.
    spread: RandomState,
    began: Instant,
}

/// What one round found due.
#[derive(Debug, Default)]
struct Found {
    due: Vec<Due>,
    tally: Tally,
}

impl Keeper {
    /// One that rotates by `rotation`, in whose options it is said what it may do, and that knows of clients from `ledger`.
    pub fn new(rotation: Rotation, ledger: Ledger, alerts: Alerts) -> Self {
        tally::describe();
        metrics::describe_gauge!("locum_rotation_due", "Credentials that somebody has to do something about.");
        metrics::describe_counter!(
            "locum_keeper_logins_total",
            "Logins in the background, to see whether credentials work."
        );
        metrics::describe_gauge!(
            "locum_keeper_round_timestamp_seconds",
            metrics::Unit::Seconds,
            "When all records were last looked through, by the clock of this node."
        );
        Self { rotation, ledger, alerts, step: Mutex::default(), spread: RandomState::new(), began: Instant::now() }
    }

    /// Does so until `stop`, but for a step that is being taken: it may be written already, and its audit event is not. Where
    /// it may not change records it tells what clients meet with, and no more.
    pub async fn run(self, stop: CancellationToken) {
        let keeping = async {
            tokio::join!(self.watch(), async {
                if self.rotation.options.keeper.keeps {
                    self.keep().await;
                }
            })
        };
        let mut keeping = std::pin::pin!(keeping);
        if stop.run_until_cancelled(&mut keeping).await.is_none() {
            tokio::select! {
                biased;
                _ = self.step.lock() => {}
                _ = &mut keeping => {}
            }
        }
    }

    /// Looks through all records again and again.
    async fn keep(&self) {
        let mut from = self.began.elapsed();
        let mut told = HashSet::new();
        loop {
            tokio::time::sleep(self.rotation.options.keeper.round_every).await;
            match self.round(&mut from).await {
                Ok(found) => {
                    self.tell(&found.due, &mut told);
                    found.tally.say();
                    let now = Timestamp::now().as_millisecond() as f64 / 1000.0;
                    metrics::gauge!("locum_keeper_round_timestamp_seconds").set(now);
                }
                Err(error) if error.is_transient() => tracing::debug!(%error, "the records are looked through later"),
                Err(error) => self.give_up(&error),
            }
        }
    }

    /// One look through all records, a page at a time. Those are logged in to whose time has come since `from`, which is moved
    /// on once each of them was: what ails the rest of the records is no reason to log in again.
    async fn round(&self, from: &mut Duration) -> Result<Found, DirectoryError> {
        let (began, until) = (*from, self.began.elapsed());
        let mut found = Found::default();
        let mut after = None;
        loop {
            let page = self.rotation.directory.accounts_page(after.as_ref(), PAGE).await?;
            for (id, error) in &page.damaged {
                tracing::debug!(%id, %error, "a record is passed over");
            }
            let accounts: Vec<Account> = page.records.into_iter().map(|found| found.record).collect();
            for account in &accounts {
                self.see_account(account, &mut found).await;
            }
            // All are named before any is begun: what is asked of the ledger is not asked across a login.
            let meant = |account: &&Account| self.comes_up(&account.name, began, until) && !self.is_used(account);
            let looks: Vec<_> = accounts.iter().filter(meant).map(|account| self.look_slowly(account)).collect();
            stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE).collect::<()>().await;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        *from = until;
        loop {
            let page = self.rotation.directory.tenants_page(after.as_ref(), PAGE).await?;
            for tenant in page.records {
                self.see_tenant(&tenant.record, &mut found).await;
                if self.comes_up(&tenant.record.domain, began, until) {
                    self.look_at_tenant(&tenant.record).await;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    async fn see_account(&self, account: &Account, found: &mut Found) {
        for (kind, slots) in &account.credentials {
            let subject = Subject::Account { name: account.name.clone(), kind: *kind };
            self.retire(&subject, slots).await;
            found.tally.count(*kind, slots, Timestamp::now());
        }
        let profile = self.rotation.broker.upstream(&account.upstream);
        found.due.extend(schedule::of_account(account, profile.as_deref(), self.terms()));
    }

    async fn see_tenant(&self, tenant: &Tenant, found: &mut Found) {
        self.retire(&Subject::Tenant { domain: tenant.domain.clone() }, &tenant.oauth2).await;
        found.tally.count(CredentialKind::OAuth2, &tenant.oauth2, Timestamp::now());
        found.due.extend(schedule::of_tenant(tenant, self.terms()));
    }

    fn terms(&self) -> Terms<'_> {
        let max_ages = &self.rotation.options.max_ages;
        Terms { max_ages, within: Duration::ZERO, now: Timestamp::now() }
    }

    /// Takes the one before out of use, once its grace is over and no node has a session with it.
    async fn retire(&self, subject: &Subject, slots: &Slots) {
        let Some(previous) = slots.previous.as_ref().filter(|it| it.retire_at <= Timestamp::now()) else { return };
        if !self.rotation.options.keeper.retires {
            return;
        }
        let id = &previous.credential.id;
        // What other nodes have told is asked for by `retire`; here it is known to the second.
        let used = self.ledger.used(&subject.holder(), subject.kind());
        if used.iter().any(|used| used.credential == *id && used.live > 0) {
            return tracing::debug!(%subject, %id, "the one before is still in use");
        }
        let _step = self.step.lock().await;
        match self.rotation.retire(subject, id, false).await {
            Ok(_) => tracing::info!(%subject, %id, "the one before is retired"),
            Err(error) if error.is_transient() => tracing::debug!(%subject, %error, "retired later"),
            // Somebody promoted another meanwhile; or it may not be written, which the list of what is due shows in a day.
            Err(error) => tracing::debug!(%subject, %error, "not retired"),
        }
    }

    /// Counts what is due, and says what was not due in the round before.
    fn tell(&self, due: &[Due], told: &mut HashSet<(Subject, Why, String)>) {
        for why in Why::ALL {
            let count = due.iter().filter(|due| due.why == why).count();
            metrics::gauge!("locum_rotation_due", "why" => why.name()).set(count as f64);
        }
        let key = |due: &Due| (due.subject.clone(), due.why, due.credential.clone());
        let new: Vec<&Due> = due.iter().filter(|due| !told.contains(&key(due))).collect();
        if new.len() > DUE_ALONE_MAX {
            let first = new.iter().map(|due| due.at).min().unwrap_or_else(Timestamp::now);
            let cause = format!("{} credentials have become due", new.len());
            self.say(AlertKind::Due, None, None, cause, "see `locum rotate due`".to_owned(), first);
        } else {
            for Due { subject, why, credential, at, todo } in new {
                self.say(
                    AlertKind::Due,
                    Some(subject),
                    Some(credential),
                    format!("{subject}: {why}"),
                    todo.clone(),
                    *at,
                );
            }
        }
        *told = due.iter().map(key).collect();
    }

    /// It is set up so that it cannot work: said, and tried again in the next round.
    fn give_up(&self, error: &DirectoryError) {
        let cause = format!("this node cannot look after credentials: {error}");
        let remedy = "give it the rights of config/deploy/vault/locum-keeper.hcl, or set keeper = false in [rotation]";
        self.say(AlertKind::KeeperFailed, None, None, cause, remedy.to_owned(), Timestamp::now());
    }

    fn say(
        &self,
        kind: AlertKind,
        subject: Option<&Subject>,
        credential: Option<&str>,
        cause: String,
        remedy: String,
        since: Timestamp,
    ) {
        let (subject, credential) = (subject.map(name), credential.map(str::to_owned));
        self.alerts.raise(Alert { kind, subject, credential, cause, remedy, since });
    }

    /// Whether the time of an account comes within these times since the process began. Each has one within each interval,
    /// and they are spread over all of it.
    fn comes_up(&self, name: &str, from: Duration, until: Duration) -> bool {
        let Some(every) = self.rotation.options.keeper.verify_every else { return false };
        let every = every.as_millis().max(1);
        let position = u128::from(self.spread.hash_one(name)) % every;
        times(until, position, every) > times(from, position, every)
    }

    /// Whether a client logged in with what is current there, of whichever kind, within the interval.
    fn is_used(&self, account: &Account) -> bool {
        let Some(every) = self.rotation.options.keeper.verify_every else { return true };
        let since = Timestamp::now() - every;
        let holder = Holder::Account(account.name.clone());
        let current = account.credentials.iter().filter_map(|(kind, slots)| Some((kind, slots.current.as_ref()?)));
        let mut seen = current.map(|(kind, current)| {
            let used = self.ledger.used(&holder, *kind).into_iter().find(|used| used.credential == current.id);
            used.and_then(|used| used.last_success).is_some_and(|last| last > since)
        });
        seen.any(|is_seen| is_seen)
    }

    async fn look_slowly(&self, account: &Account) {
        tokio::join!(self.look(account), tokio::time::sleep(LOOK_TIME_MIN));
    }
}

/// How often a time that comes at `position` of each interval has come.
fn times(elapsed: Duration, position: u128, every: u128) -> u128 {
    (elapsed.as_millis() + every - 1 - position) / every
}

fn subject(holder: &Holder, kind: CredentialKind) -> Subject {
    match holder {
        Holder::Account(name) => Subject::Account { name: name.clone(), kind },
        Holder::Tenant(domain) => Subject::Tenant { domain: domain.clone() },
    }
}

/// Its name, as verbs take it.
fn name(subject: &Subject) -> String {
    match subject {
        Subject::Account { name, .. } => name.clone(),
        Subject::Tenant { domain } => format!("@{domain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::times;
    use std::time::Duration;

    #[test]
    fn each_time_comes_once_an_interval_however_it_is_cut() {
        let every = 1000;
        for position in [0, 1, 499, 999] {
            for step in [1, 7, 250, 999, 1000] {
                let mut come = 0;
                let mut from = 0;
                while from < 10_000 {
                    let until = (from + step).min(10_000);
                    let at = |ms| times(Duration::from_millis(ms), position, every);
                    come += at(until) - at(from);
                    from = until;
                }
                assert_eq!(come, 10, "{position} {step}");
            }
        }
    }
}
