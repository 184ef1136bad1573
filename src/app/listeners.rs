//! Listeners as the configuration has them: what each shows in TLS, and its addresses.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::net::TcpListener;

use super::sockets::bind_each;
use super::{note, note_all};
use crate::config::Config;
use crate::model::{Mark, Protocol};
use crate::net::{LegacyTls, tls};
use crate::session::{Listener, ListenerOptions, ListenerTls};

/// Binds the addresses of every listener, and prepares its TLS.
pub(super) fn bind_all(config: &Config, problems: &mut Vec<String>) -> Vec<(Arc<Listener>, Vec<TcpListener>)> {
    let server_tls = note_all(problems, tls::server_config(&config.tls, Timestamp::now())).flatten();
    let mut listeners = Vec::new();
    for options in &config.listeners {
        let sockets = bind_each(&format!("listener {}", options.name), &options.bind, problems);
        let tls = match options.tls {
            ListenerTls::None => None,
            ListenerTls::Implicit | ListenerTls::StartTls => {
                server_tls.as_ref().and_then(|config| note(problems, listener_tls(config, options)))
            }
        };
        let legacy_tls = (!options.legacy_tls_networks.is_empty())
            .then(|| {
                let (protocol, asks) = (application_protocol(options.protocol), asks_for_certificates(options));
                note(problems, LegacyTls::open(&config.tls, protocol, asks))
            })
            .flatten();
        if legacy_tls.is_some() {
            let (listener, networks) = (&options.name, &options.legacy_tls_networks);
            tracing::warn!(
                listener,
                ?networks,
                "clients from these networks may use TLS 1.0 and 1.1, which are broken"
            );
        }
        let profiles =
            options.entrance.upstreams.iter().filter_map(|name| config.upstreams.get(name).cloned()).collect();
        listeners.push((Arc::new(Listener { options: options.clone(), tls, legacy_tls, profiles }), sockets));
    }
    listeners
}

/// What a listener shows, and whether it asks clients for a certificate.
fn listener_tls(config: &ServerConfig, options: &ListenerOptions) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = tls::with_application_protocol(config, application_protocol(options.protocol));
    if asks_for_certificates(options) { tls::with_device_certificates(&config) } else { Ok(config) }
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
