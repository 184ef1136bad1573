//! What is not counted as it happens is looked at when it is asked for. A label never names a person.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::{CertificateUse, Office, Reloaded};
use crate::net::describe_listening;
use crate::store::Condition;

/// Labels `result`: `applied`, `refused`.
const RELOADS: &str = "locum_reloads_total";

/// When the configuration in use was read.
const RELOADED_AT: &str = "locum_reload_success_timestamp_seconds";

/// Tells whoever collects them what they mean.
pub(super) fn describe() {
    describe_gauge!("locum_sessions", "Sessions that are open, by protocol and state: dialogue, relay.");
    describe_gauge!("locum_sessions_max", "Sessions that may be open at once.");
    describe_gauge!("locum_gate_waiting", "Logins that wait at the gate of a mailbox or a class.");
    describe_gauge!(
        "locum_credentials_refused",
        "Mailboxes that clients wanted into within 25 hours and cannot, for the provider refuses what is stored, by upstream."
    );
    describe_gauge!("locum_breaker_paused", "Credentials that wait for a while after a refusal, by upstream.");
    describe_gauge!("locum_throttled", "Addresses, and logins from one, that are held back for too many failures.");
    describe_gauge!(
        "locum_throttle_shared_up",
        "1 if failed logins are counted together with other nodes, 0 if they should be and their server does not answer."
    );
    describe_gauge!("locum_access_tokens", "OAuth2 access tokens in memory.");
    describe_gauge!(
        "locum_access_token_min_ttl_seconds",
        Unit::Seconds,
        "The least time that one of them has left; +Inf if there is none."
    );
    describe_gauge!(
        "locum_certificate_expiry_seconds",
        Unit::Seconds,
        "The time until a certificate in use ends, by what it is for; below 0 once it has."
    );
    describe_gauge!("locum_ready", "1 if /readyz says that clients can log in here, else 0.");
    describe_gauge!("locum_degraded", "1 if /readyz says that something is wrong all the same, else 0.");
    describe_of_store();
    describe_of_audit();
    describe_counter!("locum_admin_sign_ins_total", "Tokens that were shown, by result: accepted, refused, held-back.");
    describe_counter!(RELOADS, "Times that the configuration was read again, by result: applied, refused.");
    describe_gauge!(RELOADED_AT, Unit::Seconds, "When the configuration in use was read.");
    for result in ["applied", "refused"] {
        counter!(RELOADS, "result" => result).increment(0);
    }
    set_reloaded();
    describe_listening();
}

fn describe_of_store() {
    describe_gauge!("locum_store_up", "1 if the store answers, else 0.");
    describe_gauge!(
        "locum_store_unreachable_seconds",
        Unit::Seconds,
        "For how long the store has not answered; 0 if it does."
    );
    describe_gauge!(
        "locum_store_stale_seconds",
        Unit::Seconds,
        "For how long records have been used that the store could not be asked for; 0 if none is."
    );
    describe_gauge!(
        "locum_store_max_stale_seconds",
        Unit::Seconds,
        "For how long they may be: max-stale of the configuration."
    );
    describe_gauge!(
        "locum_store_token_ttl_seconds",
        Unit::Seconds,
        "The time left to this node's token for the store; +Inf if it does not expire."
    );
}

fn describe_of_audit() {
    describe_gauge!("locum_audit_waiting", "Audit events that are not written yet.");
    describe_gauge!("locum_audit_lag_seconds", Unit::Seconds, "How long the oldest of them has waited.");
    describe_gauge!(
        "locum_audit_failing_seconds",
        Unit::Seconds,
        "For how long the audit could not be written; 0 if it can."
    );
    describe_counter!("locum_audit_failures_total", "Writes of the audit that failed.");
}

/// The configuration was read again, with that result.
pub fn count_reload(result: &Result<Reloaded, Vec<String>>) {
    let word = if result.is_ok() { "applied" } else { "refused" };
    counter!(RELOADS, "result" => word).increment(1);
    if result.is_ok() {
        set_reloaded();
    }
}

fn set_reloaded() {
    gauge!(RELOADED_AT).set(jiff::Timestamp::now().as_second() as f64);
}

/// Looks at all of it.
pub(super) fn set(office: &Office) {
    set_sessions(office);
    set_store(office);
    let watched = &office.watched;
    let audit = (watched.audit)();
    gauge!("locum_audit_waiting").set(audit.waiting as f64);
    gauge!("locum_audit_lag_seconds").set(audit.lag.as_secs_f64());
    gauge!("locum_audit_failing_seconds").set(audit.failing_for.unwrap_or_default().as_secs_f64());
    counter!("locum_audit_failures_total").absolute(audit.failures);
    let now = jiff::Timestamp::now();
    for purpose in CertificateUse::ALL {
        let of_it = watched.certificates.load();
        let ends = of_it.iter().filter(|certificate| certificate.purpose == purpose).map(|it| it.ends).min();
        if let Some(ends) = ends {
            let left = ends.duration_since(now).as_secs_f64();
            gauge!("locum_certificate_expiry_seconds", "certificate" => purpose.name()).set(left);
        }
    }
}

fn set_sessions(office: &Office) {
    for (protocol, state, count) in office.sessions.census() {
        gauge!("locum_sessions", "protocol" => protocol.name(), "state" => state.name()).set(count as f64);
    }
    gauge!("locum_sessions_max").set(office.sessions.max() as f64);
    let desk = office.desk.load();
    let held = desk.upstreams.census();
    gauge!("locum_gate_waiting").set(held.waiting as f64);
    for upstream in desk.profiles.keys() {
        let of_it = held.breakers.get(upstream).copied().unwrap_or_default();
        gauge!("locum_credentials_refused", "upstream" => upstream.clone()).set(of_it.dead as f64);
        gauge!("locum_breaker_paused", "upstream" => upstream.clone()).set(of_it.paused as f64);
    }
    gauge!("locum_throttled").set(desk.broker.throttled() as f64);
    if let Some(shared) = desk.broker.shared() {
        gauge!("locum_throttle_shared_up").set(f64::from(u8::from(shared.status().trouble.is_none())));
    }
    let (living, least) = desk.tokens.living();
    gauge!("locum_access_tokens").set(living as f64);
    gauge!("locum_access_token_min_ttl_seconds").set(least.map_or(f64::INFINITY, |left| left.as_secs_f64()));
}

fn set_store(office: &Office) {
    let Some(store) = &office.watched.store else { return };
    let status = store.health.status();
    let is_up = status.condition == Condition::Up;
    let unreachable = if is_up { Duration::ZERO } else { status.lasting };
    gauge!("locum_store_up").set(f64::from(u8::from(is_up)));
    gauge!("locum_store_unreachable_seconds").set(unreachable.as_secs_f64());
    gauge!("locum_store_stale_seconds").set(status.stale_for.unwrap_or_default().as_secs_f64());
    gauge!("locum_store_max_stale_seconds").set(store.max_stale.as_secs_f64());
    match status.token_left {
        Some(left) => gauge!("locum_store_token_ttl_seconds").set(left.as_secs_f64()),
        // Who has never logged in has no token that could not expire.
        None if is_up => gauge!("locum_store_token_ttl_seconds").set(f64::INFINITY),
        None => {}
    }
}

/// What the judgement of the process was.
pub(super) fn set_readiness(is_ready: bool, is_degraded: bool) {
    gauge!("locum_ready").set(f64::from(u8::from(is_ready)));
    gauge!("locum_degraded").set(f64::from(u8::from(is_degraded)));
}
