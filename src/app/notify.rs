//! What the service manager is told (`Type=notify`): that we serve, reload, stop, live. It must never speak once another process
//! has taken this one's place: what it says would be taken for that one's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::WatchedStore;
use crate::store::Condition;

/// How often the line in `systemctl status` is said anew.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// The least time between two signs of life: a manager that wants more of them wants too many.
const WATCHDOG_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// What waits to be said. Beyond so many, the manager does not listen, and hears the rest never.
const WAITING_MAX: usize = 16;

/// Tells it. Without a manager (`NOTIFY_SOCKET`) it tells nobody. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Notifier {
    words: mpsc::Sender<Word>,
    hushed: Arc<AtomicBool>,
}

/// What is said.
#[derive(Debug)]
enum Word {
    Ready { takes_over: bool },
    Reloading,
    Stopping { grace: Duration },
    Status(String),
    Alive,
}

impl Notifier {
    /// One that speaks until `stop`. A manager that does not listen holds up a thread of its own, and no session.
    pub(super) fn start(tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let (words, mut waiting) = mpsc::channel::<Word>(WAITING_MAX);
        let speaking = async move {
            while let Some(word) = waiting.recv().await {
                let _ = tokio::task::spawn_blocking(move || word.say()).await; // it does not panic
            }
        };
        let ending = stop.clone();
        tasks.spawn(async move { ending.run_until_cancelled(speaking).await });
        Self { words, hushed: Arc::default() }
    }

    /// We serve. Whoever takes another process's place is the main one from now on.
    pub(super) fn ready(&self, takes_over: bool) {
        self.say(Word::Ready { takes_over });
    }

    /// The configuration is being read again; [`Notifier::ready`] ends that.
    pub(super) fn reloading(&self) {
        self.say(Word::Reloading);
    }

    /// We stop. That may take so long.
    pub(super) fn stopping(&self, grace: Duration) {
        self.say(Word::Stopping { grace });
    }

    /// Says nothing more.
    pub(super) fn hush(&self) {
        self.hushed.store(true, Ordering::Relaxed);
    }

    fn say(&self, word: Word) {
        if !self.hushed.load(Ordering::Relaxed) {
            let _ = self.words.try_send(word); // nobody listens, or we stop
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
                notifier.say(Word::Status(status()));
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
                    notifier.say(Word::Alive);
                }
                tokio::time::sleep(interval).await;
            }
        };
        let ending = stop.clone();
        tasks.spawn(async move { ending.run_until_cancelled(living).await });
    }
}

impl Word {
    /// Blocks where the manager does not listen.
    fn say(self) {
        let pid = NotifyState::MainPid(std::process::id());
        let said = match &self {
            Self::Ready { takes_over: true } => sd_notify::notify(&[pid, NotifyState::Ready]),
            Self::Ready { takes_over: false } => sd_notify::notify(&[NotifyState::Ready]),
            Self::Reloading => {
                NotifyState::monotonic_usec_now().and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]))
            }
            Self::Stopping { grace } => {
                let micros = u32::try_from(grace.as_micros()).unwrap_or(u32::MAX);
                sd_notify::notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)])
            }
            Self::Status(line) => sd_notify::notify(&[NotifyState::Status(line)]),
            Self::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        };
        if let Err(error) = said {
            tracing::debug!(%error, "the service manager is not told");
        }
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
