//! Clients whom no fault concerns. They log in again and again by every protocol, and one of each stays; all of them must be
//! let in and answered, whatever befalls others.

use std::sync::Arc;
use std::time::Duration;

use locum::model::Protocol;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Actor, Client, HEALTHY, Node, Stage, View};

/// Between two logins of one.
const PAUSE: Duration = Duration::from_millis(250);
/// For the first logins.
const START: Duration = Duration::from_secs(30);
/// A login that takes longer has noticed something. The machine is busy with other tests.
const LONGEST: Duration = Duration::from_secs(10);

/// They go on until they are ended.
pub(crate) struct Bystanders {
    tasks: Vec<JoinHandle<usize>>,
    stop: CancellationToken,
}

impl Bystanders {
    /// Each has been let in once when this returns.
    pub(crate) async fn of(stage: &Stage) -> Self {
        let (stop, settled) = (CancellationToken::new(), Arc::new(Barrier::new(Protocol::ALL.len() + 1)));
        let tasks = Protocol::ALL.map(|protocol| {
            let (node, actor, stop) = (stage.node.handle(), stage.actor(HEALTHY).clone(), stop.clone());
            let settled = Arc::clone(&settled);
            tokio::spawn(async move {
                let mut stays = Client::connect(&node, protocol).await;
                assert_eq!(stays.log_in(&actor).await, View::LetIn, "a bystander by {protocol}");
                settled.wait().await;
                come_and_go(&node, protocol, &actor, stays, &stop).await
            })
        });
        timeout(START, settled.wait()).await.expect("the bystanders are let in before anything befalls anybody");
        Self { tasks: tasks.into(), stop }
    }

    /// Ends them; each has been let in at least so often.
    pub(crate) async fn end(self, least: usize) {
        self.stop.cancel();
        for task in self.tasks {
            let logins = task.await.expect("a bystander that notices something panics");
            assert!(logins >= least, "a bystander came no more than {logins} times");
        }
    }
}

async fn come_and_go(
    node: &Node,
    protocol: Protocol,
    actor: &Actor,
    mut stays: Client,
    stop: &CancellationToken,
) -> usize {
    let mut logins = 1;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let mut comes = Client::connect(node, protocol).await;
        let view = comes.log_in(actor).await;
        let took = began.elapsed();
        assert_eq!(view, View::LetIn, "a bystander by {protocol} noticed something after {took:.1?}");
        assert!(took < LONGEST, "a bystander by {protocol} waited {took:?}");
        // Postfix counts idle commands of a session as errors.
        let is_cheap = protocol != Protocol::Submission || logins % 8 == 0;
        assert!(!is_cheap || stays.is_answered().await, "the session of a bystander by {protocol} ended");
        comes.finish().await;
        logins += 1;
        stop.run_until_cancelled(sleep(PAUSE)).await;
    }
    logins
}
