//! What is counted of logins at providers. A label never names a mailbox: an upstream of the configuration, a protocol, and
//! words of this crate.

use metrics::{Counter, Unit, counter, describe_counter, describe_histogram, histogram};
use tokio::time::Instant;

use super::{Cause, UpstreamError};
use crate::model::Protocol;
use crate::net::HANDSHAKES;

/// Labels `upstream`, `protocol`, `outcome`: `accepted`, [`HELD_BACK`], or the name of a [`Cause`].
const LOGINS: &str = "locum_upstream_logins_total";

/// A part of a client's login; the session counts parts of its own by the same name. Labels `protocol`, `phase`.
const PHASE_SECONDS: &str = "locum_login_phase_seconds";

/// Labels `upstream`, `protocol`, `handshake`: one of [`HANDSHAKES`].
const TLS_HANDSHAKES: &str = "locum_upstream_tls_handshakes_total";

/// Labels `upstream`, `protocol`, `outcome`: [`USED`] or [`UNUSED`].
const WARM: &str = "locum_upstream_warm_connections_total";

/// A login found one.
pub(super) const USED: &str = "used";

/// Nobody needed it in time, or the provider hung up on it.
pub(super) const UNUSED: &str = "unused";

/// The breaker did not let it come to a login.
const HELD_BACK: &str = "held-back";

/// Tells whoever collects them what they mean.
pub(super) fn describe() {
    describe_counter!(
        LOGINS,
        "Logins at providers, by upstream, protocol and outcome: accepted, held-back by the breaker, or why they failed."
    );
    describe_counter!(
        TLS_HANDSHAKES,
        "TLS handshakes with upstreams, by upstream, protocol and handshake: full, resumed."
    );
    describe_counter!(
        WARM,
        "Connections to upstreams that were made ahead of a login, by upstream, protocol and outcome: used, unused."
    );
    describe_histogram!(
        PHASE_SECONDS,
        Unit::Seconds,
        "A part of a login: tls, decide, gate, dial, upstream-tls, upstream-login."
    );
}

/// Has what may be counted of an upstream begin at nothing.
pub(super) fn expect(upstream: &str, protocol: Protocol) {
    let outcomes = ["accepted", HELD_BACK].into_iter().chain(Cause::ALL.map(Cause::name));
    outcomes.for_each(|outcome| count(upstream, protocol, outcome, 0));
    [USED, UNUSED].into_iter().for_each(|outcome| warm(upstream, protocol, outcome).increment(0));
    HANDSHAKES.into_iter().for_each(|handshake| tls_handshakes(upstream, protocol, handshake).increment(0));
}

/// A TLS handshake with an upstream has succeeded, for a login or to look at what it offers.
pub(super) fn count_handshake(upstream: &str, protocol: Protocol, handshake: &'static str) {
    tls_handshakes(upstream, protocol, handshake).increment(1);
}

fn tls_handshakes(upstream: &str, protocol: Protocol, handshake: &'static str) -> Counter {
    counter!(TLS_HANDSHAKES, "upstream" => upstream.to_owned(), "protocol" => protocol.name(), "handshake" => handshake)
}

/// So many connections that were made ahead of a login have found their end.
pub(super) fn count_warm(upstream: &str, protocol: Protocol, outcome: &'static str, times: usize) {
    if times > 0 {
        warm(upstream, protocol, outcome).increment(times as u64);
    }
}

fn warm(upstream: &str, protocol: Protocol, outcome: &'static str) -> Counter {
    counter!(WARM, "upstream" => upstream.to_owned(), "protocol" => protocol.name(), "outcome" => outcome)
}

/// A login at a provider has ended.
pub(super) fn count_login(upstream: &str, protocol: Protocol, failed: Option<&UpstreamError>) {
    let outcome = match failed {
        None => "accepted",
        Some(error) if !error.was_tried() => HELD_BACK,
        Some(error) => error.cause().name(),
    };
    count(upstream, protocol, outcome, 1);
}

fn count(upstream: &str, protocol: Protocol, outcome: &'static str, times: u64) {
    counter!(LOGINS, "upstream" => upstream.to_owned(), "protocol" => protocol.name(), "outcome" => outcome)
        .increment(times);
}

/// A part of a login is over that began then.
pub(super) fn count_phase(protocol: Protocol, phase: &'static str, began: Instant) {
    histogram!(PHASE_SECONDS, "protocol" => protocol.name(), "phase" => phase).record(began.elapsed());
}
