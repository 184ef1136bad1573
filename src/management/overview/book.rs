//! The latest snapshot, and who makes the next one. It is made only while somebody looks, in one place however many look at
//! once, and never so often that reading is all that a node does.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use utoipa::ToSchema;

use super::{Attention, Snapshot, totals};
use crate::management::{Desk, Fault, ManagementError};
use crate::model::Holder;
use crate::usage::Ledger;

/// What is younger is not made anew.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// Rest after a reading, in times of what it took: no more than a tenth of the time is spent on it.
const REST_TIMES: u32 = 9;

/// What is older is not shown as if it were of now: nobody has looked for long, and who does waits for a new one.
const OLD_AFTER: Duration = Duration::from_secs(60);

/// Time to wait for a new one; then the one before has to do, or an answer that there is none yet.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Credentials refused here that are named.
const REFUSED_MAX: usize = 100;

/// How things stand, for whoever looks.
#[derive(Debug)]
pub struct Overview {
    desk: Arc<ArcSwap<Desk>>,
    ledger: Ledger,
    latest: watch::Sender<Latest>,
    wanted: Notify,
}

#[derive(Debug, Clone, Default)]
struct Latest {
    snapshot: Option<Arc<Snapshot>>,
    /// Why there is no newer one.
    failed: Option<String>,
    /// Readings that have ended, well or not.
    readings: u64,
    /// Whether none is made for a while.
    rests: bool,
}

/// What is seen in one look.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = OverviewLook)]
pub struct Look {
    /// How all records stand.
    #[serde(flatten)]
    #[schema(value_type = Snapshot)]
    pub snapshot: Arc<Snapshot>,
    /// Credentials that their provider refuses, as this node has seen since it started.
    pub refused: Vec<Attention>,
    /// How many there are.
    pub refused_total: usize,
    /// Why there is nothing newer, if the last reading failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Overview {
    /// Over the records of that desk; `ledger` knows what is refused.
    pub fn new(desk: Arc<ArcSwap<Desk>>, ledger: Ledger) -> Self {
        Self { desk, ledger, latest: watch::Sender::default(), wanted: Notify::new() }
    }

    /// Makes snapshots while somebody looks.
    pub async fn run(&self) {
        loop {
            self.wanted.notified().await;
            let began = Instant::now();
            let desk = self.desk.load_full();
            let read = totals::read(&desk).await;
            self.latest.send_modify(|latest| {
                (latest.readings, latest.rests) = (latest.readings + 1, true);
                match read {
                    Ok(snapshot) => (latest.snapshot, latest.failed) = (Some(Arc::new(snapshot)), None),
                    Err(error) => latest.failed = Some(error.to_string()),
                }
            });
            sleep(FRESH_FOR.max(began.elapsed() * REST_TIMES)).await;
            self.latest.send_modify(|latest| latest.rests = false);
        }
    }

    /// The latest look.
    ///
    /// # Errors
    /// If there is none yet: the first one is being made, or cannot be.
    pub async fn look(&self) -> Result<Look, ManagementError> {
        let mut latest = self.latest.subscribe();
        let is_older = |than: Duration, latest: &Latest| {
            latest.snapshot.as_ref().is_none_or(|it| it.as_of + than < Timestamp::now())
        };
        let (readings, is_due, is_old) = {
            let now = latest.borrow();
            (now.readings, is_older(FRESH_FOR, &now), !now.rests && is_older(OLD_AFTER, &now))
        };
        if is_due {
            self.wanted.notify_one();
        }
        if is_old {
            let _ = timeout(WAIT_MAX, latest.wait_for(|now| now.readings > readings)).await; // what there is has to do
        }
        let Latest { snapshot, failed, .. } = latest.borrow().clone();
        let Some(snapshot) = snapshot else {
            let why = failed.unwrap_or_else(|| "all records are being read for the first time".to_owned());
            return Err(ManagementError::new(Fault::Temporary, format!("there is no overview yet: {why}")));
        };
        let (refused, refused_total) = self.refused();
        Ok(Look { snapshot, refused, refused_total, failed })
    }

    /// What providers refuse, the longest ago first.
    fn refused(&self) -> (Vec<Attention>, usize) {
        let troubled = self.ledger.troubled();
        let total = troubled.len();
        let mut refused: Vec<Attention> = troubled
            .into_iter()
            .take(REFUSED_MAX)
            .filter_map(|(holder, kind)| {
                let used = self.ledger.used(&holder, kind);
                let used = used.into_iter().filter(|used| used.refusals > 0).max_by_key(|used| used.last_refusal)?;
                let account = match holder {
                    Holder::Account(name) => name,
                    Holder::Tenant(domain) => format!("@{domain}"),
                };
                Some(Attention {
                    why: "refused",
                    text: format!("the provider refuses it, {} times since it last took it", used.refusals),
                    todo: format!("locum probe {account}; then locum rotate run {account}"),
                    account: Some(account),
                    client: None,
                    kind: Some(kind),
                    credential: Some(used.credential),
                    at: used.last_refusal?,
                })
            })
            .collect();
        refused.sort_by_key(|it| it.at);
        (refused, total)
    }
}
