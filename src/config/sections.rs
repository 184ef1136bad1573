//! The tables that fill one `Options` each (`[tls]`, `[limits]`, `[admin]`, `[audit]`, `[telemetry]`), and `name`. It must
//! never hold a default of its own where the room has one.

use std::time::Duration;

use rustls::pki_types::DnsName;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

use super::LockMemory;
use super::class;
use super::listener::{self, Bound};
use super::reader::Table;
use super::rotation::url_of;
use super::shared;
use super::value::Value;
use crate::telemetry::LogFormat;
use crate::{admin, audit, broker, net, session, telemetry, upstream};

/// `name`, at the top level.
pub(super) fn name(root: &mut Table<'_, '_>) -> String {
    let name = root.take("name").and_then(|value| {
        let name = value.text()?;
        match DnsName::try_from(name) {
            Ok(_) => Some(name.to_owned()),
            Err(_) => value.wrong(
                "\"name\" must be a host name",
                Some("such as \"mail.example.com\": letters, digits, \"-\" and \".\""),
            ),
        }
    });
    name.unwrap_or_else(|| upstream::Options::default().name)
}

/// `[tls]`, and whether it names a certificate, be it rightly or not.
pub(super) fn tls(mut table: Table<'_, '_>) -> (net::TlsOptions, bool) {
    let certificate = table.take("certificate");
    let key = table.take("key");
    match (&certificate, &key) {
        (Some(value), None) => table.reader().wrong_in_whole(
            value.at,
            "\"certificate\" without \"key\" in [tls]",
            Some("name the file of its private key, PEM, with key"),
        ),
        (None, Some(value)) => table.reader().wrong_in_whole(
            value.at,
            "\"key\" without \"certificate\" in [tls]",
            Some("name the file of the certificate chain, PEM, with certificate"),
        ),
        _ => {}
    }
    let names_certificate = certificate.is_some() || key.is_some();
    let options = net::TlsOptions {
        certificate: certificate.and_then(|value| value.path()),
        key: key.and_then(|value| value.path()),
        upstream_ca_files: table
            .take("upstream-ca-files")
            .and_then(|value| value.list(Value::path))
            .unwrap_or_default(),
    };
    table.finish();
    (options, names_certificate)
}

/// What `[limits]` bounds.
pub(super) struct Limits {
    pub(super) session: session::Options,
    pub(super) upstream: upstream::Options,
    pub(super) broker: broker::Options,
    pub(super) lock_memory: LockMemory,
}

/// `[limits]`.
pub(super) fn limits(mut table: Table<'_, '_>, name: &str) -> Limits {
    let mut session = session_limits(&mut table);
    let mut upstream = upstream::Options { name: name.to_owned(), ..upstream_limits(&mut table) };
    let broker = broker_limits(&mut table);
    let reason = "old devices need seconds for a key exchange; a stranger who says nothing must not stay for long";
    set(&mut session.tls_handshake_timeout, table.take("tls-handshake-timeout"), |value| {
        upstream.tls_handshake_timeout = value.duration(secs(1)..=mins(5), reason)?;
        Some(upstream.tls_handshake_timeout)
    });
    let mut lock_memory = LockMemory::default();
    set(&mut lock_memory, table.take("lock-memory"), |value| {
        value.one_of(&[("auto", LockMemory::Auto), ("require", LockMemory::Require), ("off", LockMemory::Off)])
    });
    upstream.classes = class::classes(table.section("class"));
    table.finish();
    Limits { session, upstream, broker, lock_memory }
}

fn session_limits(table: &mut Table<'_, '_>) -> session::Options {
    let mut session = session::Options::default();
    set(&mut session.sessions_max, table.take("sessions-max"), |value| {
        value.integer(1..=100_000, "each session costs two file descriptors (see `ulimit -n`)")
    });
    set(&mut session.unproven_per_address_max, table.take("unproven-per-address-max"), |value| {
        value.integer(1..=100_000, "an address may be a whole site behind one router")
    });
    session.connections_per_address_max = table.take("connections-per-address-max").and_then(|value| {
        value.integer(1..=100_000, "an address may be a whole site behind one router, or a balancer")
    });
    set(&mut session.login_timeout, table.take("login-timeout"), |value| {
        value.duration(secs(5)..=mins(30), "devices and providers are slow at logins; strangers must not stay for long")
    });
    set(&mut session.write_timeout, table.take("write-timeout"), |value| {
        value.duration(secs(1)..=mins(10), "a client that does not read must not hold a session for long")
    });
    set(&mut session.idle_timeout, table.take("idle-timeout"), |value| {
        value.duration(mins(30)..=mins(24 * 60), "IMAP IDLE is silent for up to 29 minutes (RFC 2177)")
    });
    set(&mut session.stall_timeout, table.take("stall-timeout"), |value| {
        value.duration(mins(1)..=mins(60), "a slow line takes some bytes in each minute; one that takes none is dead")
    });
    session.session_max_time = table.take("session-max-time").and_then(|value| {
        value.duration(mins(60)..=mins(30 * 24 * 60), "clients that idle for days, and large messages, are interrupted")
    });
    set(&mut session.drain_timeout, table.take("drain-timeout"), |value| {
        value.duration(secs(0)..=mins(60), "service managers do not wait for longer")
    });
    set(&mut session.handover_timeout, table.take("handover-timeout"), |value| {
        value.duration(secs(0)..=mins(7 * 24 * 60), "two processes share the memory of the machine meanwhile")
    });
    session
}

fn upstream_limits(table: &mut Table<'_, '_>) -> upstream::Options {
    let mut upstream = upstream::Options::default();
    set(&mut upstream.dial_timeout, table.take("dial-timeout"), |value| {
        value.duration(secs(1)..=mins(2), "the client is waiting meanwhile")
    });
    set(&mut upstream.login_timeout, table.take("upstream-login-timeout"), |value| {
        let reason = "Exchange Online takes up to 20 seconds to refuse a login; the client is waiting meanwhile";
        value.duration(secs(30)..=mins(5), reason)
    });
    set(&mut upstream.gate_timeout, table.take("gate-timeout"), |value| {
        value.duration(secs(0)..=mins(2), "the client is waiting meanwhile")
    });
    set(&mut upstream.pace_timeout, table.take("pace-timeout"), |value| {
        value.duration(secs(0)..=mins(5), "clients give up after five minutes (RFC 5321 section 4.5.3.2.2)")
    });
    set(&mut upstream.probe_interval, table.take("probe-interval"), |value| {
        value.duration(mins(1)..=mins(24 * 60), "what a provider offers changes rarely, and each probe is a connection")
    });
    upstream
}

fn broker_limits(table: &mut Table<'_, '_>) -> broker::Options {
    let mut broker = broker::Options::default();
    set(&mut broker.failures_per_login_max, table.take("failures-per-login-max"), |value| {
        value.integer(1..=1_000, "more is room for guessing")
    });
    set(&mut broker.failures_per_address_max, table.take("failures-per-address-max"), |value| {
        value.integer(1..=100_000, "more is room for guessing; an address may be a whole site behind one router")
    });
    set(&mut broker.failure_window, table.take("failure-window"), |value| {
        let reason = "a longer one keeps people out after they have corrected their password";
        value.duration(secs(1)..=mins(24 * 60), reason)
    });
    set(&mut broker.failures_per_site_max, table.take("failures-per-site-max"), |value| {
        value.integer(1..=1_000_000, "more is room for guessing; an IPv6 /48 may be many sites of one provider")
    });
    set(&mut broker.hold_back_max, table.take("hold-back-max"), |value| {
        value.duration(secs(1)..=mins(24 * 60), "for so long a whole site may be kept out for what one in it does")
    });
    broker.shared = table.table("shared").and_then(shared::shared);
    broker
}

/// Puts a value over a default, if there is one and it is right.
pub(super) fn set<'r, 't, T>(
    slot: &mut T,
    value: Option<Value<'r, 't>>,
    convert: impl FnOnce(&Value<'r, 't>) -> Option<T>,
) {
    if let Some(converted) = value.as_ref().and_then(convert) {
        *slot = converted;
    }
}

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const fn mins(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// `[admin]`. In clear, what is told there is told to this machine only: tokens go by it.
pub(super) fn admin(mut table: Table<'_, '_>, names_certificate: bool, bound: &mut Bound) -> admin::Options {
    let mut options = admin::Options::default();
    let tls = table.take("tls");
    set(&mut options.tls, tls, |value| {
        let tls = value.boolean()?;
        if tls && !names_certificate {
            return value.wrong(
                "\"tls\" in [admin] without a certificate",
                Some("name the files of one in [tls], with certificate and key"),
            );
        }
        Some(tls)
    });
    let bind = table.take("bind");
    let names_place = bind.is_some();
    if let Some(value) = bind {
        let reader = table.reader();
        let addresses = listener::bind(value, bound, reader).unwrap_or_default();
        for (address, at) in addresses {
            if options.tls || address.ip().is_loopback() {
                options.bind.push(address);
            } else {
                let remedy = "bind it to this machine (127.0.0.1, [::1]), or set tls = true";
                reader.wrong(at, "without TLS, [admin] is for this machine only", Some(remedy));
            }
        }
    }
    options.socket = table.take("socket").and_then(|value| value.path());
    let api = table.take("api");
    let api_at = api.as_ref().map(|value| value.at);
    set(&mut options.api, api, |value| value.boolean());
    options.console = options.api;
    let console = table.take("console");
    let console_at = console.as_ref().map(|value| value.at);
    set(&mut options.console, console, |value| value.boolean());
    let listens_nowhere = !names_place && options.socket.is_none();
    let api_at = api_at.filter(|_| options.api).map(|at| (at, "\"api\" in [admin], which listens nowhere"));
    let console_at =
        console_at.filter(|_| options.console).map(|at| (at, "\"console\" in [admin], which listens nowhere"));
    if let Some((at, what)) = api_at.or(console_at).filter(|_| listens_nowhere) {
        let remedy = "such as bind = \"127.0.0.1:9465\", or socket = \"/run/locum/admin.sock\"";
        table.reader().wrong_in_whole(at, what, Some(remedy));
    }
    table.finish();
    options
}

/// `[audit]`.
pub(super) fn audit(mut table: Table<'_, '_>) -> audit::Options {
    let mut options = audit::Options { path: table.take("path").and_then(|value| value.path()), ..Default::default() };
    options.max_size = table.take("max-size").and_then(|value| {
        let size =
            value.size(1 << 20..=1 << 40, "a file of less is closed every few minutes, and no larger one is read")?;
        Some(size)
    });
    set(&mut options.rotate, table.take("rotate"), |value| {
        value.one_of(&[
            ("never", audit::Rotate::Never),
            ("hourly", audit::Rotate::Hourly),
            ("daily", audit::Rotate::Daily),
            ("weekly", audit::Rotate::Weekly),
            ("monthly", audit::Rotate::Monthly),
        ])
    });
    options.keep = table.take("keep").and_then(|value| value.integer(1..=10_000, "the folder is read at each start"));
    let fail_closed = table.take("fail-closed");
    if let Some(value) = &fail_closed
        && options.path.is_none()
        && value.boolean() == Some(true)
    {
        let remedy = "name a file in path";
        value.reader().wrong(value.at, "\"fail-closed\" needs a file that the audit is written to", Some(remedy));
    }
    set(&mut options.fail_closed, fail_closed, |value| value.boolean());
    table.finish();
    options
}

/// A collector of traces that could be.
const COLLECTOR: &str = "such as \"https://collector.example.com:4318/v1/traces\"; \"http://\" to this machine only";

/// `[telemetry]`.
pub(super) fn telemetry(mut table: Table<'_, '_>) -> telemetry::Options {
    let mut options = telemetry::Options::default();
    set(&mut options.log, table.take("log"), |value| {
        let log = value.text()?;
        if is_log_filter(log) {
            return Some(log.to_owned());
        }
        value.wrong(
            "\"log\" must be a level or a list of target=level",
            Some("levels: error, warn, info, debug, trace, off; such as \"info,locum::session=debug\", without blanks"),
        )
    });
    set(&mut options.format, table.take("log-format"), |value| {
        value.one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)])
    });
    options.traces = traces(&mut table);
    table.finish();
    options
}

/// Where spans go: all of it is for nothing without `otlp-endpoint`.
fn traces(table: &mut Table<'_, '_>) -> Option<telemetry::TraceOptions> {
    let url = table.take("otlp-endpoint").and_then(|value| url_of(&value, COLLECTOR));
    let headers_file = table.take("otlp-headers-file").and_then(|value| value.path());
    let (mut service_name, mut sample_percent, mut names) = ("locum".to_owned(), 100, false);
    set(&mut service_name, table.take("otlp-service-name"), |value| value.text().map(str::to_owned));
    set(&mut sample_percent, table.take("otlp-sample-percent"), |value| {
        value.integer(0..=100, "of a hundred sessions")
    });
    set(&mut names, table.take("otlp-names"), Value::boolean);
    Some(telemetry::TraceOptions { url: url?, headers_file, service_name, sample_percent, names })
}

/// Whether `tracing` takes it, and takes it as it was meant: a bare word that is no level would be a target with
/// everything in it, so that "inof" would log nothing at all of Locum.
fn is_log_filter(text: &str) -> bool {
    let is_word = |part: &str| part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '-'));
    let misread = |part: &str| is_word(part) && part.parse::<LevelFilter>().is_err();
    !text.trim().is_empty()
        && EnvFilter::builder().parse(text).is_ok()
        && (text.contains('{') || !text.split(',').any(misread))
}

#[cfg(test)]
mod tests {
    use super::is_log_filter;

    #[test]
    fn log_filters() {
        for text in
            ["info", "WARN", "off", "info,locum::session=debug", "locum[session{peer=1}]=trace", "debug,rustls=off"]
        {
            assert!(is_log_filter(text), "{text}");
        }
        for text in ["", " ", "inof", "locum=loud", "locum", "debug, rustls=off"] {
            assert!(!is_log_filter(text), "{text}");
        }
    }
}
