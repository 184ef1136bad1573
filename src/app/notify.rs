//! What the service manager is told (`Type=notify`): that we serve, reload, stop, live. It must never speak once another process
//! has taken this one's place: what it says would be taken for that one's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::WatchedStore;
use crate::store::Condition;

/// How often the line in `systemctl status` is said anew.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// The least time between two signs of life: a manager that wants more of them wants too many.
const WATCHDOG_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// Tells it. Without a manager (`NOTIFY_SOCKET`) it tells nobody. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Notifier {
    hushed: Arc<AtomicBool>,
}

impl Notifier {
    /// We serve. Whoever takes another process's place is the main one from now on.
    pub(super) fn ready(&self, takes_over: bool) {
        let pid = NotifyState::MainPid(std::process::id());
        let both = [pid, NotifyState::Ready];
        self.say(if takes_over { &both } else { &both[1..] });
    }

    /// The configuration is being read again; [`Notifier::ready`] ends that.
    pub(super) fn reloading(&self) {
        let now = NotifyState::monotonic_usec_now();
        if let Ok(now) = now {
            self.say(&[NotifyState::Reloading, now]);
        }
    }

    /// We stop. That may take so long.
    pub(super) fn stopping(&self, grace: Duration) {
        let micros = u32::try_from(grace.as_micros()).unwrap_or(u32::MAX);
        self.say(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// Says nothing more.
    pub(super) fn hush(&self) {
        self.hushed.store(true, Ordering::Relaxed);
    }

    fn say(&self, states: &[NotifyState<'_>]) {
        if self.hushed.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "the service manager is not told");
        }
    }

    /// Gives a sign of life as often as is wanted (`WATCHDOG_USEC`), and says how things stand, until `stop`. A sign is given
    /// once the runtime has taken up a task and brought it to its end: a process that hangs gives none.
    pub(super) fn keep_telling(
        &self,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        status: impl Fn() -> String + Send + 'static,
    ) {
        let (notifier, runs) = (self.clone(), tasks.clone());
        let telling = async move {
            loop {
                notifier.say(&[NotifyState::Status(&status())]);
                tokio::time::sleep(STATUS_INTERVAL).await;
            }
        };
        let ending = stop.clone();
        tasks.spawn(async move { ending.run_until_cancelled(telling).await });
        let Some(interval) = sd_notify::watchdog_enabled() else { return };
        let (notifier, interval) = (self.clone(), (interval / 2).max(WATCHDOG_INTERVAL_MIN));
        let living = async move {
            loop {
                if runs.spawn(async {}).await.is_ok() {
                    notifier.say(&[NotifyState::Watchdog]);
                }
                tokio::time::sleep(interval).await;
            }
        };
        let ending = stop.clone();
        tasks.spawn(async move { ending.run_until_cancelled(living).await });
    }
}

/// How things stand, in a line.
pub(super) fn status(sessions: usize, store: Option<&WatchedStore>) -> String {
    let store = store.map(|store| store.health.status()).map(|status| match status.condition {
        Condition::Up => ", store up".to_owned(),
        _ => format!(", store out of reach for {} s", status.lasting.as_secs()),
    });
    let plural = if sessions == 1 { "" } else { "s" };
    format!("{sessions} session{plural}{}", store.unwrap_or_default())
}
