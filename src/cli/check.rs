//! `locum check`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use rustls::ClientConfig;

use super::output;
use crate::app::{Problems, Webhook, note, note_all, windows};
use crate::broker::{Shared, SharedOptions};
use crate::config::Config;
use crate::model::{Protocol, Recognition};
use crate::net::{HttpOptions, Https, tls};
use crate::rotation::{Alert, Courier, HookOptions, WebhookOptions};
use crate::store::vault::{Login, Rights, Vault};
use crate::store::{self, OpenError};
use crate::upstream::Upstreams;

/// What of a file's mode says that somebody may run it.
const EXECUTABLE: u32 = 0o111;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Also log in to a store that is a server, as a node does, and look at what is there; and connect to every
    /// upstream, begin TLS and read what it offers; and post an alert of kind "test" to the webhook. No credential of a
    /// mailbox is sent.
    #[arg(long)]
    dial: bool,
}

pub(super) async fn run(path: &Path, arguments: &Arguments) -> Result<()> {
    let config = Config::load(path)?;
    let mut problems = Vec::new();
    let checked = check_store(&config.store, arguments.dial).await;
    let passes = checked.as_ref().is_err_and(OpenError::is_transient);
    if let Some(Some(found)) = note(&mut problems, checked) {
        output::line(found);
    }
    note_all(&mut problems, tls::server_config(&config.tls, Timestamp::now()));
    let tls = note_all(&mut problems, tls::client_config(&config.tls));
    if let Some(options) = &config.rotation.webhook {
        let tls = tls.as_ref().filter(|_| arguments.dial);
        check_webhook(options, tls, &config.name, &mut problems).await;
    }
    if let Some(options) = &config.broker.shared {
        check_shared(options, arguments.dial, &mut problems).await;
    }
    if let (Some(tls), true) = (tls, arguments.dial) {
        let upstreams = Upstreams::new(tls, config.upstream.clone());
        upstreams.listens_at(config.listeners.iter().flat_map(|listener| listener.bind.clone()).collect());
        dial_all(&config, upstreams, &mut problems).await;
    }
    Problems::none_in(problems, passes)?;
    if let Some(warning) = tls::name_warning(&config.tls, &config.name) {
        output::note(format!("note: {warning}"));
    }
    if let Some(warning) = config.rotation.hook.as_ref().and_then(hook_warning) {
        output::note(format!("note: {warning}"));
    }
    for window in windows(&config, Timestamp::now()) {
        output::note(format!("warning: {window}"));
    }
    for options in &config.listeners {
        for Recognition { client, mark } in &options.entrance.recognitions {
            let listener = &options.name;
            output::note(format!("note: {listener} lets {client} in without a password by {mark}"));
        }
    }
    let (listeners, upstreams) = (config.listeners.len(), config.upstreams.len());
    let counted = |count: usize, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (listeners, upstreams) = (counted(listeners, "listener"), counted(upstreams, "upstream"));
    output::line(format!("{}: good ({listeners}, {upstreams})", path.display()));
    Ok(())
}

/// Whether a node could use the store, and what is there if it was dialled.
async fn check_store(options: &store::Options, dial: bool) -> Result<Option<String>, OpenError> {
    let options = match options {
        store::Options::Memory => return Ok(None),
        store::Options::Sqlite(_) => return store::open(options).await.map(|_| None),
        store::Options::Vault(options) => options,
    };
    let vault = Vault::new(options, Rights::Node)?;
    if !dial {
        return Ok(None);
    }
    let addresses = options.addresses.join(", ");
    // What is wrapped can be taken out once, and a node needs it.
    if let Login::AppRole { wrapped: true, .. } = options.login {
        return Ok(Some(format!(
            "store {addresses}: not dialled, as its wrapped secret id is good for one login only"
        )));
    }
    let found = vault.describe().await;
    vault.disconnect().await;
    let found = found.map_err(OpenError::Server)?;
    Ok(Some(format!("store {addresses}: {found}")))
}

/// Whether alerts can be posted: with TLS at hand it is tried.
async fn check_shared(options: &SharedOptions, dial: bool, problems: &mut Vec<String>) {
    let Some(shared) = note(problems, Shared::open(options)).filter(|_| dial) else { return };
    let place = shared.status().place;
    match shared.try_once().await {
        Ok(()) => output::line(format!("limits.shared: {place} takes counts")),
        Err(error) => problems.push(format!("limits.shared: {place}: {error}")),
    }
}

async fn check_webhook(
    options: &WebhookOptions,
    tls: Option<&Arc<ClientConfig>>,
    name: &str,
    problems: &mut Vec<String>,
) {
    if let Err(why) = Webhook::check(options) {
        return problems.push(why);
    }
    let Some(tls) = tls else { return };
    let Some(https) = note(problems, Https::new(tls, HttpOptions::default())) else { return };
    let message = Alert::test(Timestamp::now()).message(name);
    match Webhook::new(https, options.clone()).deliver(&message).await {
        Ok(()) => output::line("webhook: takes alerts; it was sent one of kind \"test\""),
        Err(error) => problems.push(format!("webhook: {error}")),
    }
}

/// What is wrong with the hook's program here. A node does without: only who types `--by-hook` needs it.
fn hook_warning(hook: &HookOptions) -> Option<String> {
    let program = hook.command.first()?;
    let why = match fs::metadata(program) {
        Err(error) => error.to_string(),
        Ok(found) if found.is_file() && found.permissions().mode() & EXECUTABLE != 0 => return None,
        Ok(_) => "it is no program".to_owned(),
    };
    Some(format!("the hook {program} cannot be run here ({why}), as `locum rotate run --by-hook` would"))
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
