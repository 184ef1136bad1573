//! Whether new clients should be sent to this node, and what to do if not. It must never make a node unready for what its
//! clients do not feel: a balancer that takes all nodes out turns a nuisance into an outage.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{AuditNow, CertificateEnd, CertificateUse, Descriptors, Phase, Stage};
use crate::broker::SharedStatus;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
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

/// All that is looked at.
pub(super) struct Now {
    pub(super) stage: Stage,
    /// The store, if it has a state of its own.
    pub(super) store: Option<StoreNow>,
    pub(super) listeners: usize,
    /// How long ago no connection could be taken.
    pub(super) exhausted_ago: Option<Duration>,
    pub(super) sessions: usize,
    pub(super) sessions_max: usize,
    pub(super) descriptors: Option<Descriptors>,
    pub(super) certificates: Vec<CertificateEnd>,
    pub(super) audit: AuditNow,
    /// Where nodes count failed logins together, if they do.
    pub(super) shared: Option<SharedStatus>,
}

/// A connection that could not be taken is news for so long.
const EXHAUSTED_FOR: Duration = Duration::from_secs(60);

/// Of the files that the process may open, what is left when it is said that they run out: a tenth.
const DESCRIPTORS_SPARE: u64 = 10;

/// A certificate that ends within that is to be renewed now: whoever renews by a machine does so long before.
const CERTIFICATE_WARNING: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Readiness {
    /// Judges by all of it.
    pub(super) fn of(it: Now, now: Timestamp) -> Self {
        let mut checks = vec![of_process(it.stage)];
        checks.extend(it.store.map(|store| of_store(store, now)));
        checks.push(of_listeners(it.listeners, it.exhausted_ago));
        checks.push(of_sessions(it.sessions, it.sessions_max));
        checks.extend(it.descriptors.map(of_descriptors));
        checks.extend(of_certificates(&it.certificates, now));
        checks.push(of_audit(it.audit, now));
        checks.extend(it.shared.map(of_shared));
        Self {
            ready: checks.iter().all(|check| check.verdict != Verdict::Bad),
            degraded: checks.iter().any(|check| check.verdict == Verdict::Degraded),
            checks,
        }
    }
}

impl Readiness {
    /// The same for those who are nobody here: how it is, and nothing of where its store is or what to do.
    pub(super) fn without_reasons(mut self) -> Self {
        self.checks.iter_mut().for_each(|check| (check.reason, check.remedy) = (None, None));
        self
    }
}

impl Check {
    fn good(name: &'static str, state: &'static str) -> Self {
        Self { name, state, since: None, reason: None, remedy: None, verdict: Verdict::Good }
    }

    fn degraded(name: &'static str, state: &'static str, reason: String, remedy: &str) -> Self {
        let (reason, remedy) = (Some(reason), Some(remedy.to_owned()));
        Self { name, state, since: None, reason, remedy, verdict: Verdict::Degraded }
    }
}

fn of_listeners(listeners: usize, exhausted_ago: Option<Duration>) -> Check {
    match exhausted_ago.filter(|ago| *ago < EXHAUSTED_FOR) {
        Some(ago) => Check::degraded(
            "listeners",
            "exhausted",
            format!("{} s ago a client could not be taken for want of file descriptors or memory", ago.as_secs()),
            "raise LimitNOFILE (systemd) or `ulimit -n`, or lower sessions-max in [limits]",
        ),
        None if listeners == 0 => Check::good("listeners", "none"),
        None => Check::good("listeners", "bound"),
    }
}

/// Who comes waits in the queue of the kernel until somebody leaves. Where all nodes are full, none is to be taken out.
fn of_sessions(sessions: usize, max: usize) -> Check {
    if sessions < max {
        return Check::good("sessions", "room");
    }
    let reason = format!("{sessions} sessions are open, as many as there may be: clients wait");
    Check::degraded("sessions", "full", reason, "raise sessions-max in [limits], or add a node")
}

fn of_descriptors(Descriptors { open, max }: Descriptors) -> Check {
    if max.saturating_sub(open) > max / DESCRIPTORS_SPARE {
        return Check::good("descriptors", "enough");
    }
    let reason = format!("{open} of {max} files are open");
    Check::degraded("descriptors", "short", reason, "raise LimitNOFILE (systemd) or `ulimit -n`, or add a node")
}

/// Each that ends soon or has ended; one line where none does. Most devices do not look at what they are shown, and all nodes
/// show the same: a node is never taken out for it.
fn of_certificates(certificates: &[CertificateEnd], now: Timestamp) -> Vec<Check> {
    let soon = |it: &&CertificateEnd| it.ends.duration_since(now) <= CERTIFICATE_WARNING;
    let checks: Vec<_> = certificates
        .iter()
        .filter(soon)
        .map(|CertificateEnd { purpose, ends }| {
            let ends = whole_seconds(*ends);
            let (state, verb) = if ends <= now { ("expired", "ended") } else { ("expiring", "ends") };
            let reason = format!("the certificate ({}) {verb} on {ends}", purpose.name());
            Check::degraded("certificates", state, reason, renewal(*purpose))
        })
        .collect();
    if checks.is_empty() { vec![Check::good("certificates", "valid")] } else { checks }
}

fn renewal(purpose: CertificateUse) -> &'static str {
    match purpose {
        CertificateUse::Listener => "renew what certificate and key in [tls] name, and have it read again",
        CertificateUse::Admin => "renew the certificate of [admin], and have it read again",
        CertificateUse::StoreClient => "renew the certificate that the node shows to its store",
        CertificateUse::StoreAuthority => "put the store's new authority into its ca-file",
        CertificateUse::UpstreamAuthority => "put the new authority into upstream-ca-files",
    }
}

fn of_audit(audit: AuditNow, now: Timestamp) -> Check {
    let Some(lasting) = audit.failing_for else { return Check::good("audit", "written") };
    let verdict = if audit.fail_closed { Verdict::Bad } else { Verdict::Degraded };
    let consequence =
        if audit.fail_closed { "nobody is let in meanwhile" } else { "events are in the log alone meanwhile" };
    Check {
        name: "audit",
        state: "failing",
        since: Some(whole_seconds(now.saturating_sub(signed(lasting)).unwrap_or(now))),
        reason: Some(format!("the audit cannot be written: {consequence}")),
        remedy: Some("see to the disk and the rights of path in [audit]; the log says what fails".to_owned()),
        verdict,
    }
}

/// A node that counts alone serves its clients as well as ever.
fn of_shared(SharedStatus { place, trouble }: SharedStatus) -> Check {
    let Some(why) = trouble else { return Check::good("throttle", "shared") };
    let reason = format!("this node counts failed logins alone; the server at {place}: {why}");
    Check::degraded("throttle", "alone", reason, "see to the server, or to [limits.shared]")
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
        since: Some(whole_seconds(since)),
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
    Check { name: "store", state, since: Some(since), reason, remedy, verdict }
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

    const GOOD: AuditNow =
        AuditNow { waiting: 0, lag: Duration::ZERO, failing_for: None, failures: 0, fail_closed: false };

    fn now() -> Timestamp {
        "2026-11-22T12:00:00.5Z".parse().unwrap()
    }

    /// All is well.
    fn well() -> Now {
        Now {
            stage: Stage { phase: Phase::Serving, since: now() },
            store: None,
            listeners: 3,
            exhausted_ago: None,
            sessions: 1,
            sessions_max: 100,
            descriptors: Some(Descriptors { open: 10, max: 1000 }),
            certificates: Vec::new(),
            audit: GOOD,
            shared: None,
        }
    }

    fn say(it: Now) -> serde_json::Value {
        serde_json::to_value(Readiness::of(it, now())).unwrap()
    }

    fn judge(phase: Phase, condition: Condition, lasting: u64, max_stale: Duration) -> serde_json::Value {
        let store = Some(StoreNow { condition, lasting: Duration::from_secs(lasting), max_stale });
        say(Now { stage: Stage { phase, since: now() }, store, ..well() })
    }

    /// What is said of a check, and of all.
    #[track_caller]
    fn assert_said(it: Now, name: &str, state: &str, ready: bool, degraded: bool) -> String {
        let said = say(it);
        let check = said["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone();
        assert_eq!(
            (&check["state"], &said["ready"], &said["degraded"]),
            (&state.into(), &ready.into(), &degraded.into())
        );
        check["reason"].as_str().unwrap_or_default().to_owned()
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
                { "name": "listeners", "state": "bound" },
                { "name": "sessions", "state": "room" },
                { "name": "descriptors", "state": "enough" },
                { "name": "certificates", "state": "valid" },
                { "name": "audit", "state": "written" },
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
        let said = say(well());
        assert_eq!((&said["ready"], &said["degraded"]), (&true.into(), &false.into()));
        assert!(said["checks"].as_array().unwrap().iter().all(|check| check["name"] != "store"), "{said}");
    }

    #[test]
    fn what_clients_hardly_feel_degrades_and_takes_no_node_out() {
        assert_said(Now { sessions: 99, ..well() }, "sessions", "room", true, false);
        assert_said(Now { sessions: 100, ..well() }, "sessions", "full", true, true);
        let files = |open| Now { descriptors: Some(Descriptors { open, max: 1000 }), ..well() };
        assert_said(files(899), "descriptors", "enough", true, false);
        assert_said(files(900), "descriptors", "short", true, true);
        let ago = |seconds| Now { exhausted_ago: Some(Duration::from_secs(seconds)), ..well() };
        assert_said(ago(59), "listeners", "exhausted", true, true);
        assert_said(ago(60), "listeners", "bound", true, false);
        assert_said(Now { listeners: 0, ..well() }, "listeners", "none", true, false);
    }

    #[test]
    fn a_certificate_is_told_of_a_week_before_it_ends_and_after() {
        let ending = |hours| {
            let ends = now() + SignedDuration::from_hours(hours);
            Now { certificates: vec![CertificateEnd { purpose: CertificateUse::Listener, ends }], ..well() }
        };
        assert_said(ending(7 * 24 + 1), "certificates", "valid", true, false);
        assert_said(ending(7 * 24), "certificates", "expiring", true, true);
        let reason = assert_said(ending(-1), "certificates", "expired", true, true);
        assert_eq!(reason, "the certificate (listener) ended on 2026-11-22T11:00:00Z");
    }

    #[test]
    fn an_audit_that_cannot_be_written_is_bad_where_nobody_is_let_in_without() {
        let failing = |fail_closed| {
            let failing_for = Some(Duration::from_secs(30));
            Now { audit: AuditNow { failing_for, fail_closed, ..GOOD }, ..well() }
        };
        assert_said(failing(false), "audit", "failing", true, true);
        assert_said(failing(true), "audit", "failing", false, false);
    }
}
