//! The second half of a process: it runs until it is told to stop, and then drains.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, Face, watching};
use crate::admin::Phase;
use crate::credential::oauth2::Tokens;
use crate::model::{Profile, Protocol};
use crate::net::accept_loop;
use crate::rotation::{SeenWriter, UsageWriter};
use crate::store::Upkeep;

/// Time that the first probes of upstreams may take before clients are served: what is offered to the first client
/// should be true, but a dead upstream must not hold up the others.
const FIRST_PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time that sessions have to notice that they are over.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

impl App {
    /// The upstreams and protocols of which clients are told before login what they offer. IMAP tells it after.
    fn served(&self) -> Vec<(Arc<Profile>, Protocol)> {
        let all = self.listeners.iter().flat_map(|(listener, _)| {
            let protocol = listener.options.protocol;
            listener.profiles.iter().map(move |profile| (profile.name.clone(), protocol, Arc::clone(profile)))
        });
        let once: BTreeMap<(String, Protocol), Arc<Profile>> = all
            .filter(|(_, protocol, _)| *protocol != Protocol::Imap)
            .map(|(name, protocol, profile)| ((name, protocol), profile))
            .collect();
        once.into_iter().map(|((_, protocol), profile)| (profile, protocol)).collect()
    }

    /// Serves until `stop` is cancelled, then drains: no new clients, a goodbye to those that have not logged in, and
    /// time for the others to end by themselves.
    pub async fn run(self, stop: CancellationToken) {
        let served = self.served();
        let background = spawn_background(self.upkeep, self.tokens, (self.usage, self.seen), self.admin, &self.kill);
        background.spawn(watching::watch(Arc::clone(&self.sessions), self.news, self.kill.clone()));
        self.keeping.spawn(&background, &self.drain, &self.kill);
        let probing = tokio::time::timeout(FIRST_PROBE_TIMEOUT, self.upstreams.probe_all(&served));
        let _ = stop.run_until_cancelled(probing).await; // late or not, what is known by then is offered

        let tasks = TaskTracker::new();
        let (upstreams, drain) = (Arc::clone(&self.upstreams), self.drain.clone());
        tasks.spawn(async move { upstreams.keep_probing(&served, drain).await });
        self.sessions.expect(self.listeners.iter().map(|(listener, _)| &listener.options));
        let permits = Arc::new(Semaphore::new(self.sessions_max));
        for (listener, sockets) in self.listeners {
            for socket in sockets {
                let (listener, sessions, live) = (Arc::clone(&listener), Arc::clone(&self.sessions), self.live.clone());
                tasks.spawn(accept_loop(
                    socket,
                    Arc::clone(&permits),
                    self.drain.clone(),
                    move |stream, peer, permit| {
                        let (listener, sessions) = (Arc::clone(&listener), Arc::clone(&sessions));
                        live.spawn(async move {
                            sessions.serve(&listener, stream, peer).await;
                            drop(permit); // last: a place is free when all that the session held is
                        });
                        std::future::ready(())
                    },
                ));
            }
        }
        self.stage.send_replace(Phase::Serving.into());
        tracing::info!("ready");

        stop.cancelled().await;
        tracing::info!(sessions = self.live.len(), "draining");
        self.stage.send_replace(Phase::Draining.into());
        self.drain.cancel();
        tasks.close();
        self.live.close();
        let ended = async {
            tasks.wait().await; // from here on no session begins
            self.live.wait().await;
        };
        let mut ended = std::pin::pin!(ended);
        let in_time = tokio::time::timeout(self.drain_timeout, &mut ended).await.is_ok();
        if !in_time {
            tracing::info!(sessions = self.live.len(), "time is up: the rest is closed");
        }
        self.kill.cancel();
        let rest = async {
            if !in_time {
                ended.await;
            }
            background.wait().await;
        };
        let _ = tokio::time::timeout(KILL_TIMEOUT, rest).await;
        tracing::info!("stopped");
    }
}

/// Begins what lasts until sessions are gone: sessions that end need the store, those that begin need tokens, and whoever
/// waits for the end of the drain wants to be told of it.
fn spawn_background(
    upkeep: Upkeep,
    tokens: Arc<Tokens>,
    (usage, seen): (UsageWriter, SeenWriter),
    admin: Option<Face>,
    kill: &CancellationToken,
) -> TaskTracker {
    let background = TaskTracker::new();
    let stop = kill.clone();
    background.spawn(async move { tokens.run(stop).await });
    background.spawn(usage.run(kill.clone()));
    background.spawn(seen.run(kill.clone()));
    background.spawn(upkeep.run(kill.clone()));
    if let Some(face) = admin {
        face.spawn(&background, kill);
    }
    background.close();
    background
}
