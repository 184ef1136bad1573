//! `locum serve`.

use std::env;
use std::path::Path;

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{self, Failure};
use super::output;
use crate::app::{self, App, Inherited, Source, Start, Succession};
use crate::config::Config;
use crate::telemetry;

pub(super) async fn run(path: &Path) -> Result<()> {
    let inherited = Inherited::take(env::var("LISTEN_FDNAMES").ok().as_deref());
    let (config, settings) = Config::load_to_compare(path)?;
    if config.listeners.is_empty() && !config.admin.is_for_operators() {
        let message =
            format!("{}: no [[listener]], and no api in [admin], so there is nothing to serve", path.display());
        return Err(Failure::new(exit::CONFIG, message).into());
    }
    let traces = telemetry::start(&config.telemetry, config.audit.path.is_none())?;
    // Before there is anything secret in it.
    app::lock_memory(config.lock_memory)?;
    let source = Some(Source { path: path.to_owned(), settings });
    let app = App::start(Start { config, source, succession: succession(), inherited }).await?.tracing(traces);
    let orders = app.orders();
    for (listener, address) in app.addresses() {
        tracing::info!(listener, %address, "listening");
    }

    let stop = CancellationToken::new();
    let mut stops = stop_signals()?;
    let (mut hangup, mut upgrade) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined2())?);
    let mut running = std::pin::pin!(app.run(stop.clone()));
    loop {
        tokio::select! {
            () = &mut running => return Ok(()),
            _ = hangup.recv() => orders.reload("SIGHUP"),
            _ = upgrade.recv() => orders.upgrade(),
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

/// This program and its arguments, as they are now: by the time that it is begun again, there may be a newer file in its place.
fn succession() -> Option<Succession> {
    let program = env::current_exe().ok()?;
    Some(Succession { program, arguments: env::args_os().skip(1).collect() })
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
