//! `locum serve`.

use std::path::Path;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{self, Failure};
use super::output;
use crate::app::{self, App};
use crate::config::Config;
use crate::telemetry;

pub(super) async fn run(path: &Path) -> Result<()> {
    let config = Config::load(path)?;
    if config.listeners.is_empty() {
        let message = format!("{}: no [[listener]], so there is nothing to serve", path.display());
        return Err(Failure::new(exit::CONFIG, message).into());
    }
    telemetry::start(&config.telemetry)?;
    if let Err(error) = app::forbid_core_dumps() {
        tracing::warn!(%error, "core dumps cannot be forbidden; a crash could write secrets to disk");
    }
    let app = App::build(config).await?;
    for (listener, address) in app.addresses() {
        tracing::info!(listener, %address, "listening");
    }

    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut running = std::pin::pin!(app.run(stop.clone()));
    loop {
        tokio::select! {
            () = &mut running => return Ok(()),
            _ = hangup.recv() => tracing::warn!("SIGHUP: the configuration is read at start only; restart to change it"),
            _ = async { tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} } } => {
                if stop.is_cancelled() {
                    output::note("locum: stopped at once, as asked twice");
                    return Ok(());
                }
                stop.cancel();
            }
        }
    }
}
