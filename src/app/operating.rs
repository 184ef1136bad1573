//! Where the operations that operators ask for over HTTP are done: beside the sessions, and waited for as these are when the
//! process drains. What is not done when time is up is broken off, and says so.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::management::{Operations, Spawner};

/// Operations that are done on that tracker until `kill`.
pub(super) fn operations(at_work: &TaskTracker, kill: &CancellationToken) -> Operations {
    let (at_work, kill) = (at_work.clone(), kill.clone());
    Operations::new(Spawner::new(move |work| {
        let kill = kill.clone();
        at_work.spawn(async move {
            let _: Option<()> = kill.run_until_cancelled(work).await;
        });
    }))
}
