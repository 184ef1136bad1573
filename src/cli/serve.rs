//! `locum serve`.

use std::path::Path;

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{self, Failure};
use super::output;
use crate::app::App;
use crate::config::Config;
use crate::telemetry;

pub(super) async fn run(path: &Path) -> Result<()> {
    let config = Config::load(path)?;
    if config.listeners.is_empty() && !config.admin.is_for_operators() {
        let message =
            format!("{}: no [[listener]], and no api in [admin], so there is nothing to serve", path.display());
        return Err(Failure::new(exit::CONFIG, message).into());
    }
    telemetry::start(&config.telemetry, config.audit.path.is_none())?;
    let app = App::build(config).await?;
    for (listener, address) in app.addresses() {
        tracing::info!(listener, %address, "listening");
    }

    let stop = CancellationToken::new();
    let mut stops = stop_signals()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut running = std::pin::pin!(app.run(stop.clone()));
    loop {
        tokio::select! {
            () = &mut running => return Ok(()),
            _ = hangup.recv() => tracing::warn!("SIGHUP: the configuration is read at start only; restart to change it"),
            () = told_to_stop(&mut stops) => {
                if stop.is_cancelled() {
                    output::note("locum: stopped at once, as asked twice");
                    return Ok(());
                }
                stop.cancel();
            }
        }
    }
}

/// SIGTERM, by which supervisors stop us, and SIGINT, by which people do.
pub(super) fn stop_signals() -> std::io::Result<[Signal; 2]> {
    Ok([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?])
}

pub(super) async fn told_to_stop([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
