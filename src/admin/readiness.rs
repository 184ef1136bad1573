//! Whether new clients should be sent to this node, and what to do if not. It must never make a node unready for what its
//! clients do not feel: a balancer that takes all nodes out turns a nuisance into an outage.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Phase, Stage};
use crate::store::Condition;

/// The judgement, and what it rests on.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    /// Whether clients can log in.
    pub(super) ready: bool,
    /// Whether that is so for some of them only.
    pub(super) degraded: bool,
    checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: &'static str,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    #[serde(skip)]
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Degraded,
    Bad,
}

/// How the store is, for how long, and for how long a node can do without it.
pub(super) struct StoreNow {
    pub(super) condition: Condition,
    pub(super) lasting: Duration,
    pub(super) max_stale: Duration,
}

impl Readiness {
    /// Judges by what the process does, and by the store, if it has a state of its own.
    pub(super) fn of(stage: Stage, store: Option<StoreNow>, now: Timestamp) -> Self {
        let mut checks = vec![of_process(stage)];
        checks.extend(store.map(|store| of_store(store, now)));
        Self {
            ready: checks.iter().all(|check| check.verdict != Verdict::Bad),
            degraded: checks.iter().any(|check| check.verdict == Verdict::Degraded),
            checks,
        }
    }
}

fn of_process(Stage { phase, since }: Stage) -> Check {
    let (state, verdict, reason) = match phase {
        Phase::Starting => ("starting", Verdict::Bad, Some("upstreams are asked what they offer, for some seconds")),
        Phase::Serving => ("serving", Verdict::Good, None),
        Phase::Draining => ("draining", Verdict::Bad, Some("the process was told to stop, and takes no more clients")),
    };
    Check {
        name: "process",
        state,
        since: whole_seconds(since),
        reason: reason.map(str::to_owned),
        remedy: None,
        verdict,
    }
}

fn of_store(StoreNow { condition, lasting, max_stale }: StoreNow, now: Timestamp) -> Check {
    let since = whole_seconds(now.saturating_sub(signed(lasting)).unwrap_or(now));
    let (state, verdict, reason, remedy) = match condition {
        Condition::Up => ("up", Verdict::Good, None, None),
        Condition::Unreached { reason } => (
            "unreached",
            Verdict::Bad,
            Some(reason.unwrap_or_else(|| "it has not answered since the start".to_owned())),
            Some("it is tried again and again; `locum check --dial` says what is wrong".to_owned()),
        ),
        Condition::Down { reason } if lasting <= max_stale => {
            let end = whole_seconds(since.saturating_add(signed(max_stale)).unwrap_or(Timestamp::MAX));
            let remedy = format!(
                "until {end} clients that this node knows log in from its memory, and others are told to try later: see \
                 to the store before that; `locum check --dial` says what is wrong"
            );
            ("down", Verdict::Degraded, Some(reason), Some(remedy))
        }
        Condition::Down { reason } => {
            let remedy = "it has been down for longer than max-stale, so that no client can log in: see to the store; \
                          `locum check --dial` says what is wrong";
            ("down", Verdict::Bad, Some(reason), Some(remedy.to_owned()))
        }
    };
    Check { name: "store", state, since, reason, remedy, verdict }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_STALE: Duration = Duration::from_secs(3600);

    fn judge(phase: Phase, condition: Condition, lasting: u64, max_stale: Duration) -> serde_json::Value {
        let now: Timestamp = "2026-11-22T12:00:00.5Z".parse().unwrap();
        let stage = Stage { phase, since: now };
        let store = StoreNow { condition, lasting: Duration::from_secs(lasting), max_stale };
        serde_json::to_value(Readiness::of(stage, Some(store), now)).unwrap()
    }

    fn down() -> Condition {
        Condition::Down { reason: "sealed".to_owned() }
    }

    #[test]
    fn a_node_whose_store_answers_is_ready() {
        let said = judge(Phase::Serving, Condition::Up, 60, MAX_STALE);
        assert_eq!(
            said,
            serde_json::json!({ "ready": true, "degraded": false, "checks": [
                { "name": "process", "state": "serving", "since": "2026-11-22T12:00:00Z" },
                { "name": "store", "state": "up", "since": "2026-11-22T11:59:00Z" },
            ]})
        );
    }

    #[test]
    fn a_store_that_is_down_degrades_until_memory_is_too_old() {
        let said = judge(Phase::Serving, down(), 600, MAX_STALE);
        assert_eq!((&said["ready"], &said["degraded"]), (&true.into(), &true.into()));
        let check = &said["checks"][1];
        assert_eq!((&check["state"], &check["reason"]), (&"down".into(), &"sealed".into()));
        assert_eq!(check["since"], "2026-11-22T11:50:00Z");
        assert!(check["remedy"].as_str().unwrap().starts_with("until 2026-11-22T12:50:00Z"), "{check}");

        assert_eq!(judge(Phase::Serving, down(), 3600, MAX_STALE)["ready"], true);
        let said = judge(Phase::Serving, down(), 3601, MAX_STALE);
        assert_eq!((&said["ready"], &said["degraded"]), (&false.into(), &false.into()));
        assert!(said["checks"][1]["remedy"].as_str().unwrap().contains("longer than max-stale"), "{said}");
        assert_eq!(judge(Phase::Serving, down(), 1, Duration::ZERO)["ready"], false);
    }

    #[test]
    fn a_store_that_never_answered_is_no_store() {
        let said = judge(Phase::Serving, Condition::Unreached { reason: None }, 1, MAX_STALE);
        assert_eq!((&said["ready"], &said["checks"][1]["state"]), (&false.into(), &"unreached".into()));
    }

    #[test]
    fn a_process_that_starts_or_drains_is_not_ready() {
        for (phase, state) in [(Phase::Starting, "starting"), (Phase::Draining, "draining")] {
            let said = judge(phase, Condition::Up, 60, MAX_STALE);
            assert_eq!((&said["ready"], &said["checks"][0]["state"]), (&false.into(), &state.into()));
        }
    }

    #[test]
    fn a_store_without_a_state_is_not_judged() {
        let readiness = Readiness::of(Phase::Serving.into(), None, Timestamp::now());
        assert!(readiness.ready && !readiness.degraded && readiness.checks.len() == 1);
    }
}
