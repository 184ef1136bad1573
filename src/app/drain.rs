//! The end of a process. Nobody comes in any more; who has not logged in is told goodbye; who has leaves when nothing is under
//! way, one after the other, so that not all of them knock at the same moment elsewhere. What is left when the time is up is
//! cut. Where a successor serves, nobody is hurried for hours: who is logged in stays where it is.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::doors::Hall;
use super::notify::Notifier;
use crate::session;

/// Time that sessions have to notice that they are over.
const KILL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What is to come to its end.
pub(super) struct Leaving {
    pub(super) hall: Hall,
    /// Cancelled when clients are sent away.
    pub(super) drain: CancellationToken,
    /// Cancelled when everything ends.
    pub(super) kill: CancellationToken,
    pub(super) background: TaskTracker,
    pub(super) notifier: Notifier,
}

/// Leaves: within `drain_timeout`; where there is a successor, `handover_timeout` before, unless `stop` comes sooner.
pub(super) async fn leave(leaving: Leaving, options: &session::Options, is_succeeded: bool, stop: &CancellationToken) {
    let Leaving { hall, drain, kill, background, notifier } = leaving;
    let ended = async {
        hall.tasks.wait().await; // from here on no session begins
        hall.live.wait().await;
        hall.at_work.wait().await;
    };
    let mut ended = std::pin::pin!(ended);
    hall.shut.cancel();
    hall.tasks.close();
    hall.live.close();
    hall.at_work.close();
    let mut are_gone = false;
    if is_succeeded {
        notifier.hush();
        tracing::info!(sessions = hall.live.len(), "the sessions of this process go on until they end");
        tokio::select! {
            () = &mut ended => are_gone = true,
            () = stop.cancelled() => {}
            () = tokio::time::sleep(options.handover_timeout) => {}
        }
    }
    if !are_gone {
        tracing::info!(sessions = hall.live.len(), "draining");
        notifier.stopping(options.drain_timeout + KILL_TIMEOUT);
        hall.sessions.part(options.drain_timeout);
        drain.cancel();
        are_gone = tokio::time::timeout(options.drain_timeout, &mut ended).await.is_ok();
    }
    if !are_gone {
        tracing::info!(sessions = hall.live.len(), "time is up: the rest is closed");
    }
    kill.cancel();
    let rest = async {
        if !are_gone {
            ended.await;
        }
        background.wait().await;
    };
    let _ = tokio::time::timeout(KILL_TIMEOUT, rest).await;
    tracing::info!("stopped");
}
