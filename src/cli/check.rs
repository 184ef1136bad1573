//! `locum check`.

use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;

use super::exit::{self, Failure};
use super::output;
use crate::config::Config;
use crate::model::Protocol;
use crate::net::tls;
use crate::store;
use crate::upstream::Upstreams;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also connect to every upstream, begin TLS and read what it offers. No credential is sent.
    #[arg(long)]
    dial: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let config = Config::load(path)?;
    let mut problems: Vec<String> = Vec::new();
    if let Err(error) = store::open(&config.store).await {
        problems.push(error.to_string());
    }
    if let Err(errors) = tls::server_config(&config.tls, Timestamp::now()) {
        problems.extend(errors.iter().map(ToString::to_string));
    }
    match tls::client_config(&config.tls) {
        Err(errors) => problems.extend(errors.iter().map(ToString::to_string)),
        Ok(tls) if arguments.dial => {
            dial_all(&config, Upstreams::new(tls, config.upstream.clone()), &mut problems).await
        }
        Ok(_) => {}
    }
    if !problems.is_empty() {
        return Err(Failure::new(exit::CONFIG, problems.join("\n")).into());
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
