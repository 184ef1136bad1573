//! What somebody has to know: said once, in the log, in the audit, in a counter and, where there is one, to a webhook. It
//! must never hold a secret, nor say the same again and again: whoever is called for nothing turns it off.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;

use crate::audit::{Audit, Event};

/// The same is not said again for so long.
const SAID_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Alerts that are remembered in order not to be said again. Beyond these the oldest may be: so many that there is room for
/// each credential that a ledger remembers in trouble, or all of them would be said again at each look.
const SAID_MAX: usize = 50_000;

/// Alerts that wait for the webhook. More at once are in the log and the audit alone: whoever has so many at once looks
/// there.
const WAITING_MAX: usize = 64;

/// Tries of one message, and the waits before the second and the third.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// The provider refuses a credential, and there is none to fall back to: clients are locked out.
    Refused,
    /// The provider refuses the current credential; clients are let in with another one.
    FellBack,
    /// Clients cannot log in, though not because of the credential.
    Hindered,
    /// The credential before is current again.
    RolledBack,
    /// It should be, and this node could not see to it.
    NotRolledBack,
    /// Something has become due.
    Due,
    /// The node cannot look after credentials.
    KeeperFailed,
    /// An operator tries whether alerts arrive.
    Test,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::FellBack,
        Self::Hindered,
        Self::RolledBack,
        Self::NotRolledBack,
        Self::Due,
        Self::KeeperFailed,
        Self::Test,
    ];

    /// Its name, in messages and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::FellBack => "fell-back",
            Self::Hindered => "hindered",
            Self::RolledBack => "rolled-back",
            Self::NotRolledBack => "not-rolled-back",
            Self::Due => "due",
            Self::KeeperFailed => "keeper-failed",
            Self::Test => "test",
        }
    }
}

/// What somebody has to know. As JSON it is what is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What kind of thing it is.
    pub kind: AlertKind,
    /// Whom it is about: an account, or `@` and a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The id of the credential that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// What happened, in words for the operator.
    pub cause: String,
    /// What to do.
    pub remedy: String,
    /// Since when.
    pub since: Timestamp,
}

impl Alert {
    /// One that is about nothing, to see whether it arrives.
    pub fn test(now: Timestamp) -> Self {
        Self {
            kind: AlertKind::Test,
            subject: None,
            credential: None,
            cause: "an operator tries whether alerts arrive".to_owned(),
            remedy: "nothing is to be done".to_owned(),
            since: now,
        }
    }

    /// What is posted: the alert, and which Locum says it.
    pub fn message(&self, node: &str) -> String {
        #[derive(Serialize)]
        struct Message<'a> {
            node: &'a str,
            #[serde(flatten)]
            alert: &'a Alert,
        }
        serde_json::to_string(&Message { node, alert: self }).unwrap_or_default() // no field can fail to serialize
    }
}

/// Takes messages to a webhook.
#[async_trait]
pub trait Courier: Send + Sync + fmt::Debug {
    /// Takes it there, and comes back with whether it was accepted.
    async fn deliver(&self, message: &str) -> Result<(), Undelivered>;
}

/// A message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Undelivered {
    /// In words for the operator.
    pub why: String,
    /// Whether another try may succeed.
    pub passes: bool,
}

/// Who raises alerts. Clones are one.
#[derive(Debug, Clone)]
pub struct Alerts(Arc<Desk>);

#[derive(Debug)]
struct Desk {
    audit: Audit,
    said: Mutex<HashMap<Key, Timestamp>>,
    waiting: Option<Sender<Alert>>,
}

/// What is the same.
type Key = (AlertKind, Option<String>, Option<String>);

/// Takes what is raised to the webhook, while it runs.
#[derive(Debug)]
pub struct Messenger {
    waiting: Receiver<Alert>,
    courier: Arc<dyn Courier>,
    node: String,
}

impl Alerts {
    /// Alerts in the log and the audit.
    pub fn new(audit: Audit) -> Self {
        Self::of(audit, None)
    }

    /// The same, and a messenger to take them to a webhook besides. `node` is what this Locum calls itself.
    pub fn with_courier(audit: Audit, courier: Arc<dyn Courier>, node: &str) -> (Self, Messenger) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        (Self::of(audit, Some(sender)), Messenger { waiting, courier, node: node.to_owned() })
    }

    fn of(audit: Audit, waiting: Option<Sender<Alert>>) -> Self {
        metrics::describe_counter!("locum_alerts_total", "What somebody had to know.");
        metrics::describe_counter!("locum_alert_messages_total", "Alerts that were to be posted to the webhook.");
        for kind in AlertKind::ALL {
            metrics::counter!("locum_alerts_total", "kind" => kind.name()).increment(0);
        }
        Self(Arc::new(Desk { audit, said: Mutex::default(), waiting }))
    }

    /// Says it, unless it was said of the same credential within a day. Whether it was said now.
    pub fn raise(&self, alert: Alert) -> bool {
        if !self.is_new(&alert, Timestamp::now()) {
            return false;
        }
        let Alert { kind, subject, credential, cause, remedy, since } = &alert;
        let (subject, credential) = (subject.clone(), credential.clone());
        tracing::warn!(
            kind = kind.name(),
            subject = subject.as_deref().unwrap_or_default(),
            credential = credential.as_deref().unwrap_or_default(),
            "{cause}; {remedy}"
        );
        let (cause, remedy, since) = (cause.clone(), remedy.clone(), *since);
        self.0.audit.record_step(&Event::Alert { kind: kind.name(), subject, credential, cause, remedy, since });
        metrics::counter!("locum_alerts_total", "kind" => kind.name()).increment(1);
        if let Some(waiting) = &self.0.waiting
            && waiting.try_send(alert).is_err()
        {
            // Each is in the log by itself; that the webhook does not have it is counted, and said once a day.
            metrics::counter!("locum_alert_messages_total", "outcome" => "dropped").increment(1);
            let key = (AlertKind::KeeperFailed, None, Some("webhook".to_owned()));
            if self.0.is_first(key, Timestamp::now()) {
                tracing::warn!("more than {WAITING_MAX} alerts wait for the webhook: it is not told of all of them");
            }
        }
        true
    }

    /// Whether that was said of a credential within a day.
    pub fn has_said(&self, kind: AlertKind, subject: &str, credential: &str) -> bool {
        let key = (kind, Some(subject.to_owned()), Some(credential.to_owned()));
        let said = self.0.said.lock().expect("no holder of this lock panics");
        said.get(&key).is_some_and(|at| Timestamp::now() < *at + SAID_FOR)
    }

    fn is_new(&self, alert: &Alert, now: Timestamp) -> bool {
        self.0.is_first((alert.kind, alert.subject.clone(), alert.credential.clone()), now)
    }
}

impl Desk {
    fn is_first(&self, key: Key, now: Timestamp) -> bool {
        let mut said = self.said.lock().expect("no holder of this lock panics");
        if said.get(&key).is_some_and(|at| now < *at + SAID_FOR) {
            return false;
        }
        if said.len() >= SAID_MAX {
            said.retain(|_, at| now < *at + SAID_FOR);
        }
        if said.len() >= SAID_MAX
            && let Some(oldest) = said.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone())
        {
            said.remove(&oldest);
        }
        said.insert(key, now);
        true
    }
}

impl Messenger {
    /// Takes alerts to the webhook until `stop`. What waits then is in the log and the audit.
    pub async fn run(mut self, stop: CancellationToken) {
        let taking = async {
            while let Some(alert) = self.waiting.recv().await {
                let outcome = match self.take(&alert).await {
                    Ok(()) => "accepted",
                    Err(error) => {
                        tracing::warn!(kind = alert.kind.name(), %error, "the webhook does not take an alert");
                        "failed"
                    }
                };
                metrics::counter!("locum_alert_messages_total", "outcome" => outcome).increment(1);
            }
        };
        let _: Option<()> = stop.run_until_cancelled(taking).await;
    }

    async fn take(&self, alert: &Alert) -> Result<(), Undelivered> {
        let message = alert.message(&self.node);
        for wait in WAITS {
            match self.courier.deliver(&message).await {
                Err(error) if error.passes => tracing::debug!(%error, "the webhook is tried again"),
                delivered => return delivered,
            }
            tokio::time::sleep(wait).await;
        }
        self.courier.deliver(&message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts what comes after so many failures.
    #[derive(Debug, Default)]
    struct Clerk {
        failures: Mutex<Vec<bool>>,
        taken: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Courier for Clerk {
        async fn deliver(&self, message: &str) -> Result<(), Undelivered> {
            if let Some(passes) = self.failures.lock().unwrap().pop() {
                return Err(Undelivered { why: "no".into(), passes });
            }
            self.taken.lock().unwrap().push(message.to_owned());
            Ok(())
        }
    }

    fn alert(credential: &str) -> Alert {
        Alert {
            kind: AlertKind::Refused,
            subject: Some("alice@x.test".into()),
            credential: Some(credential.into()),
            cause: "refused".into(),
            remedy: "stage another".into(),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_same_is_said_once_a_day() {
        let alerts = Alerts::new(Audit::default());
        let now = Timestamp::UNIX_EPOCH;
        assert!(alerts.is_new(&alert("a"), now));
        assert!(!alerts.is_new(&alert("a"), now + SAID_FOR - Duration::from_secs(1)));
        assert!(alerts.is_new(&alert("b"), now), "another credential is another thing");
        assert!(alerts.is_new(&Alert { kind: AlertKind::FellBack, ..alert("a") }, now));
        assert!(alerts.is_new(&alert("a"), now + SAID_FOR));
    }

    #[test]
    fn what_was_said_is_remembered_within_bounds() {
        let alerts = Alerts::new(Audit::default());
        for number in 0..SAID_MAX + 10 {
            assert!(
                alerts.is_new(&alert(&number.to_string()), Timestamp::UNIX_EPOCH + Duration::from_secs(number as u64))
            );
        }
        assert_eq!(alerts.0.said.lock().unwrap().len(), SAID_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_three_times_and_what_does_not_once() {
        for (failures, taken) in [(vec![], 1), (vec![true; 2], 1), (vec![true; 3], 0), (vec![false], 0)] {
            let clerk = Arc::new(Clerk { failures: Mutex::new(failures.clone()), ..Clerk::default() });
            let (alerts, messenger) = Alerts::with_courier(Audit::default(), clerk.clone(), "locum.test");
            assert!(alerts.raise(alert("a")));
            drop(alerts);
            messenger.run(CancellationToken::new()).await;
            assert_eq!(clerk.taken.lock().unwrap().len(), taken, "{failures:?}");
            assert!(clerk.failures.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn more_than_can_wait_is_dropped_and_nobody_waits_for_it() {
        let clerk = Arc::new(Clerk::default());
        let (alerts, messenger) = Alerts::with_courier(Audit::default(), clerk.clone(), "locum.test");
        for number in 0..WAITING_MAX + 5 {
            assert!(alerts.raise(alert(&number.to_string())));
        }
        drop(alerts);
        messenger.run(CancellationToken::new()).await;
        assert_eq!(clerk.taken.lock().unwrap().len(), WAITING_MAX);
    }

    #[test]
    fn a_message_says_who_and_what() {
        let said: serde_json::Value = serde_json::from_str(&alert("a").message("locum.test")).unwrap();
        let expected = serde_json::json!({
            "node": "locum.test", "kind": "refused", "subject": "alice@x.test", "credential": "a",
            "cause": "refused", "remedy": "stage another", "since": "1970-01-01T00:00:00Z",
        });
        assert_eq!(said, expected);
    }
}
