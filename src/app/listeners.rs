//! What a configuration and the files that it names come to: the TLS of both sides, and the listeners. Nothing is bound or
//! changed here, so that all of it can be tried before any of it counts.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;

use super::windows::windows;
use super::{note, note_all};
use crate::config::Config;
use crate::model::{Fingerprint, Mark, Protocol, Recognition};
use crate::net::tls::{Shown, Tickets, Trust};
use crate::net::{LegacyTls, tls};
use crate::session::{Listener, ListenerOptions, ListenerTls};

/// The registered ALPN name (RFC 7301 registry).
const HTTP: &str = "http/1.1";

/// All of it; `None` for what left a problem.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Whom this process trusts towards upstreams.
    pub(super) trust: Option<Trust>,
    /// What operators are shown; `None` also where there is no certificate.
    pub(super) admin_tls: Option<Arc<ServerConfig>>,
    pub(super) listeners: Vec<Arc<Listener>>,
    pub(super) files: Files,
}

/// What stood in files, to tell what has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) shown: Option<Shown>,
    pub(super) authorities: Vec<Fingerprint>,
}

impl Prepared {
    /// Reads the files that `config` names, and notes all that is wrong with them. Sessions go on: those of clients by
    /// `tickets`, those with upstreams where these are trusted as `before`.
    pub(super) fn of(config: &Config, tickets: &Tickets, before: Option<&Trust>, problems: &mut Vec<String>) -> Self {
        let trust = note_all(problems, Trust::read(&config.tls, before));
        let server_tls = note_all(problems, tls::server_config(&config.tls, Timestamp::now())).flatten();
        let listeners = listeners(config, server_tls.as_ref(), tickets, problems);
        let admin_tls = server_tls.map(|shown| tls::with_application_protocol(&shown, HTTP));
        let files = Files { shown: tls::shown(&config.tls), authorities: tls::authorities(&config.tls) };
        Self { trust, admin_tls, listeners, files }
    }
}

/// What is not wrong, and should be known all the same.
pub(super) fn warn(config: &Config) {
    if let Some(warning) = tls::name_warning(&config.tls, &config.name) {
        tracing::warn!("{warning}");
    }
    for window in windows(config, Timestamp::now()) {
        tracing::warn!("{window}");
    }
    for options in &config.listeners {
        let (listener, networks) = (&options.name, &options.legacy_tls_networks);
        if !networks.is_empty() {
            tracing::warn!(
                listener,
                ?networks,
                "clients from these networks may use TLS 1.0 and 1.1, which are broken"
            );
        }
        // Whoever stands in those places needs no password: nobody shall be able to say that they did not know.
        for Recognition { client, mark } in &options.entrance.recognitions {
            tracing::warn!(listener, client, by = %mark, "this device is let in without a password");
        }
    }
}

fn listeners(
    config: &Config,
    server_tls: Option<&Arc<ServerConfig>>,
    tickets: &Tickets,
    problems: &mut Vec<String>,
) -> Vec<Arc<Listener>> {
    let mut listeners = Vec::new();
    for options in &config.listeners {
        let tls = match options.tls {
            ListenerTls::None => None,
            ListenerTls::Implicit | ListenerTls::StartTls => {
                server_tls.and_then(|config| note(problems, listener_tls(config, options, tickets)))
            }
        };
        let legacy_tls = (!options.legacy_tls_networks.is_empty())
            .then(|| {
                let (protocol, asks) = (application_protocol(options.protocol), asks_for_certificates(options));
                note(problems, LegacyTls::open(&config.tls, protocol, asks))
            })
            .flatten();
        let profiles =
            options.entrance.upstreams.iter().filter_map(|name| config.upstreams.get(name).cloned()).collect();
        listeners.push(Arc::new(Listener { options: options.clone(), tls, legacy_tls, profiles }));
    }
    listeners
}

/// What a listener shows, and whether it asks clients for a certificate or gives them tickets.
fn listener_tls(
    config: &ServerConfig,
    options: &ListenerOptions,
    tickets: &Tickets,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = tls::with_application_protocol(config, application_protocol(options.protocol));
    match asks_for_certificates(options) {
        true => tls::with_device_certificates(&config),
        false => Ok(tls::with_tickets(&config, tickets, &options.name)),
    }
}

fn asks_for_certificates(options: &ListenerOptions) -> bool {
    options.entrance.recognitions.iter().any(|it| matches!(it.mark, Mark::Certificate(_)))
}

/// The registered ALPN names (RFC 7301 registry); submission has none, and `smtp` is what others use.
fn application_protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "imap",
        Protocol::Pop3 => "pop3",
        Protocol::Submission => "smtp",
    }
}
