//! `locum check`.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;

use super::output;
use crate::app::{Problems, note, note_all};
use crate::config::Config;
use crate::model::Protocol;
use crate::net::tls;
use crate::store::{self, OpenError};
use crate::upstream::Upstreams;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also connect to every upstream, begin TLS and read what it offers. No credential is sent.
    #[arg(long)]
    dial: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let config = Config::load(path)?;
    let mut problems = Vec::new();
    let opened = store::open(&config.store).await;
    let passes = opened.as_ref().is_err_and(OpenError::is_transient);
    note(&mut problems, opened);
    note_all(&mut problems, tls::server_config(&config.tls, Timestamp::now()));
    let tls = note_all(&mut problems, tls::client_config(&config.tls));
    if let (Some(tls), true) = (tls, arguments.dial) {
        dial_all(&config, Upstreams::new(tls, config.upstream.clone()), &mut problems).await;
    }
    Problems::none_in(problems, passes)?;
    if let Some(warning) = tls::name_warning(&config.tls, &config.name) {
        output::note(format!("note: {warning}"));
    }
    let (listeners, upstreams) = (config.listeners.len(), config.upstreams.len());
    output::line(format!("{}: good ({listeners} listeners, {upstreams} upstreams)", path.display()));
    Ok(())
}

async fn dial_all(config: &Config, upstreams: Upstreams, problems: &mut Vec<String>) {
    for profile in config.upstreams.values() {
        for protocol in Protocol::ALL {
            let Some(endpoint) = profile.endpoints.get(&protocol) else { continue };
            let place = format!("{} {protocol} {}:{}", profile.name, endpoint.host, endpoint.port);
            match upstreams.probe(profile, protocol).await {
                Ok(()) => {
                    output::line(format!("{place}: offers {}", upstreams.offers(profile, protocol).join(", ")));
                }
                Err(error) => problems.push(format!("{place}: {error}")),
            }
        }
    }
}
